// Several hosts' carpd.toml as a cluster: which of their groups are one, whether they fit together, and the
// plan of a world for each.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "sim/plan.h"

namespace carpd::sim {

// A host as its file describes it.
struct HostFile {
    std::string name;  // the file's, without folder and extension
    Config config;
};

// What several hosts have configured for one vhid on one network.
struct SharedGroup {
    std::vector<std::size_t> hosts;    // places in the list of HostFiles
    std::vector<GroupConfig> configs;  // of these
};

// What is played in one world: a group alone, or all that are in a set with each other ([[together]]) on any
// host, in the order of rule G6. At most 255.
using SharedGroups = std::vector<SharedGroup>;

struct Cluster {
    std::vector<SharedGroups> sets;     // of groups that at least two hosts have
    std::vector<std::string> warnings;  // what doesn't fit together, and what to do about it
};

// Groups of the same vhid that share an address are one, whatever their names and interfaces.
Cluster match(const std::vector<HostFile>& hosts);

// A world with these groups alone and no faults yet, which ends never. Its networks, one for each interface
// of a host, are undisturbed.
Plan plan_of(const std::vector<HostFile>& hosts, const SharedGroups& groups);

}  // namespace carpd::sim
