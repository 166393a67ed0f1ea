// The seam: what a host does for the core. Two things implement it, the Linux driver (carpd/engine) and the
// simulator; Pump calls it. None of these may block.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "carp/actions.h"

namespace carpd {

// A packet from the network, beginning with its IP header. `bytes` is the port's, until the next receive().
struct ReceivedPacket {
    InterfaceId interface;
    Bytes bytes;
};

class Port {
 public:
    virtual ~Port() = default;

    // The next batch of waiting packets, oldest first; empty when none waits.
    virtual std::span<const ReceivedPacket> receive() = 0;
    // A packet was refused. `group` is set where the packet named one.
    virtual void refused(const ReceivedPacket& packet, DropReason reason, const GroupId* group) = 0;

    virtual void perform(const WithdrawAddresses& action) = 0;
    // What many groups may do at once comes as one batch. Sets `sent` of each that was handed to the network.
    // A unicast peer that doesn't answer is not a failure.
    virtual void perform(std::span<SendAdvertisement> actions) = 0;
    // False if it could not be sent.
    virtual bool perform(const SendProbe& action) = 0;
    // Answered later, by Node::handle_committed.
    virtual void perform(std::span<const CommitFlows> actions) = 0;
    // Sets `installed` of each group all of whose addresses are. What was of another is withdrawn by the
    // core's next action.
    virtual void perform(std::span<InstallAddresses> actions) = 0;
    virtual void perform(const RenewLease& action) = 0;
    virtual void perform(const SetPool& action) = 0;
    // One that can't be sent is like one that a switch keeps back.
    virtual void perform(const SendFloodProbe& action) = 0;
    // One that can't be sent is like one that is lost.
    virtual void perform(const SendBeacon& action) = 0;
    virtual void perform(std::span<const AnnounceAddresses> actions) = 0;
    virtual void perform(const ReportTransition& action) = 0;
    virtual void perform(const ReportRival& action) = 0;
    virtual void perform(const ReportHeld& action) = 0;
    virtual void perform(const ReportDemotion& action) = 0;
    virtual void perform(const ReportUncommitted& action) = 0;
    virtual void perform(const ReportPool& action) = 0;
    virtual void perform(const ReportPeer& action) = 0;
};

}  // namespace carpd
