// A stand-in for a host that runs another implementation of CARP: OpenBSD (2025), FreeBSD, NetBSD or ucarp,
// by what docs/protocol/carp.md says of their timers, elections, counters and demotion. It is a peer to try
// carpd with, not a model of all that they do; it has no lease, and what it gets wrong is its own business.
#pragma once

#include <vector>

#include "carp/authenticator.h"
#include "sim/dice.h"
#include "sim/station.h"
#include "wire/ip_packet.h"

namespace carpd::sim {

class Foreign : public Station {
 public:
    Foreign(World& world, int index);

    void deliver(PacketId packet) override;
    void wake() override;
    void condition_changed() override;
    void link_changed(std::size_t interface) override;
    void demote(int group, int amount) override;
    State state(int group) const override { return groups_[static_cast<std::size_t>(group)].state; }
    bool owns(int group) const override;
    int demotion(int group) const override { return groups_[static_cast<std::size_t>(group)].demotion; }

 private:
    struct Group {
        GroupConfig config;
        Authenticator authenticator;
        bool member = false;
        State state = State::init;
        int demotion = 0;
        std::uint64_t counter = 0;
        bool heard_anyone = false;
        Moment advertise_at = kNoMoment;
        Moment master_down[2] = {kNoMoment, kNoMoment};
    };

    void enter(int group, State state, const char* why);
    void hear(int group, const IpPacket& packet, const Advertisement& theirs);
    bool yields(const Group& group, const IpPacket& packet, const Advertisement& theirs) const;
    bool takes_over(const Group& group, const Advertisement& theirs) const;
    void advertise(int group);
    void send(int group, Family family);
    std::uint64_t next_counter(Group& group);
    void restart_master_down(Group& group, Family family);
    void rearm();
    Kind kind() const { return plan().kind; }
    // advskew as it goes out: all but OpenBSD demote through it.
    std::uint8_t advskew(const Group& group) const;
    std::uint8_t demote_byte(const Group& group) const;
    Moment interval(const Group& group) const;

    std::vector<Group> groups_;
    Dice dice_;
};

}  // namespace carpd::sim
