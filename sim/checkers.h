// The statements about a world. What each proves and what it does not: docs/simulation.md.
#pragma once

#include <memory>
#include <vector>

#include "sim/checker.h"

namespace carpd::sim {

std::vector<std::unique_ptr<Checker>> all_checkers(World& world);

// One for each, in the order of docs/simulation.md.
std::unique_ptr<Checker> one_owner(World& world);
std::unique_ptr<Checker> data_plane(World& world);
std::unique_ptr<Checker> rightful_master(World& world);
std::unique_ptr<Checker> no_change_without_a_cause(World& world);
std::unique_ptr<Checker> authenticity(World& world);
std::unique_ptr<Checker> lease(World& world);
std::unique_ptr<Checker> progress(World& world);
std::unique_ptr<Checker> hand_over(World& world);
std::unique_ptr<Checker> together(World& world);
std::unique_ptr<Checker> health(World& world);
std::unique_ptr<Checker> flows(World& world);
std::unique_ptr<Checker> clients(World& world);

// Who says `theirs` is to yield to who says `ours`.
bool loses(const Standing& theirs, const Standing& ours);

}  // namespace carpd::sim
