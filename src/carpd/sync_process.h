// The process `carpd: sync`: keeps this host's connection-tracking table and those of its peers in step
// (docs/protocol/sync.md). It drives a SyncHost: the kernel's events and dumps, the peers' datagrams, CARP's
// news from the engine and the clock go in; changes of the kernel's table and datagrams come out. It may
// hang, crash or be killed without any effect on CARP but a demotion. The supervisor keeps it
// (carpd/keeper.h).
//
//   engine  -> mastership           carpctl -> requests, over a socket of its own
//   engine <-  copy, committed      supervisor -> settings, when the configuration was read again
//                                   kEndSignal, or nobody has the engine's end of the socket
//                                           -> tell peers the rest, and end
//
// It hears strangers, so it gives up what it can before it hears the first (linux/sandbox.h). SIGHUP, SIGTERM
// and SIGINT, which systemd and terminals send to all processes at once, it ignores: the engine is
// still bowing out then.
#pragma once

#include <poll.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "carpd/sync_deferral.h"
#include "carpd/sync_kernel.h"
#include "config/config.h"
#include "control/sync_message.h"
#include "control/sync_request.h"
#include "control/sync_status.h"
#include "linux/line_server.h"
#include "linux/link_monitor.h"
#include "linux/log.h"
#include "linux/message_socket.h"
#include "linux/netlink_socket.h"
#include "linux/sync_socket.h"
#include "sync/filter.h"
#include "sync/finder.h"
#include "sync/host.h"

namespace carpd {

class SyncProcess {
 public:
    // From being told to end: to tell peers the rest, and to be killed.
    static constexpr Duration kMostToDrain = std::chrono::seconds(1);
    static constexpr Duration kMostToFinish = 2 * kMostToDrain;

    // Of a configuration with [sync]. The caller has blocked kEndSignal, SIGHUP, SIGTERM and SIGINT, and
    // `signals` tells them; it outlives this. Its control socket is the supervisor's to remove.
    static Expected<std::unique_ptr<SyncProcess>, SysError> open(const Config& config, MessageSocket& engine,
                                                                 int signals);

    // Runs until it is told to end, or told settings that only another one can begin with.
    void run();

 private:
    struct Opened {
        SyncKernel kernel;
        std::unique_ptr<Netlink> netlink;
        LinkMonitor links;
        LineServer control;
        std::unique_ptr<SyncDeferral> deferral;  // null: it isn't configured
    };
    struct Peer {
        SyncPeerFigures figures;
        bool was_up = false;

        IpAddress address() const { return figures.address; }
    };
    // A list of flows that is being given.
    struct FlowsAnswer {
        std::string owner;  // empty: all
        FlowCursor cursor;
        std::uint64_t told = 0;
    };

    SyncProcess(SyncSettings settings, MessageSocket& engine, int signals, Opened opened);

    // What wakes it.
    enum Source : std::size_t {
        kSignals,
        kEngine,
        kLinks,
        kControl,
        kPeersIpv4,
        kPeersIpv6,
        kKernel,
        kDeferred
    };

    void wait();
    bool is_ready(Source source) const { return sources_[source].revents != 0; }
    Instant next_deadline() const;
    void handle_signals();
    void configure(const SyncSettings& settings);

    void follow_links();
    void open_socket();
    void close_socket(const std::string& why);
    void read_own_addresses();
    void check_limits();
    bool is_tight() const;

    void catch_packets();
    bool is_any_peer_up() const;
    bool does_any_peer_defer() const;
    bool holds_packets() const { return kernel_.deferral && kernel_.deferral->holds_any(); }

    void hear_peers();
    void hear(const SyncSocket::Received& datagram);
    void transmit();
    bool transmit(std::size_t peer);
    void send(SyncPeerFigures& peer, std::span<const Bytes> datagrams);
    void report_peers();
    std::string name_of(std::size_t peer) const;

    // Where no peers are configured (sync_finding.cc):
    void find_peers();
    void hear_stranger(const SyncSocket::Received& datagram);
    void say_hello();
    void note_refused(const IpAddress& stranger, const std::string& why);

    void hear_engine();
    void handle_message(std::string_view text);
    bool holds_flows() const;
    void report_commit();
    void tell_engine();

    void handle_line(LineServer::ClientId client, std::string_view line);
    std::string status() const;
    void begin_flows(LineServer::ClientId client, const std::string& owner);
    bool can_continue_answers() const;
    void continue_answers();
    bool continue_answer(LineServer::ClientId client, FlowsAnswer& answer);

    void begin_to_end();
    bool has_ended() const;

    SyncConfig config_;
    MessageSocket& engine_;
    const int signals_;
    Opened kernel_;
    std::vector<IpAddress> virtual_;  // the groups' addresses, sorted
    std::vector<Peer> peers_;
    FlowFilter filter_;
    SyncHost host_;
    HostFacts facts_;
    std::optional<ConntrackLimits> limits_;
    std::map<LineServer::ClientId, FlowsAnswer> answers_;
    std::optional<PeerFinder> finder_;  // null: peers are configured
    SyncFindingFigures finding_;        // of the finder
    LogLimit finding_log_{4, std::chrono::minutes(1)};

    std::optional<SyncSocket> socket_;  // nothing while there is no interface for it
    std::string socket_trouble_;        // why
    Instant open_at_ = Instant::min(), addresses_at_ = Instant::min(), limits_at_ = Instant::min();
    SyncSocket::Counters refused_;
    std::uint64_t strangers_ = 0;         // datagrams from other addresses than the peers'
    bool waiting_ = false;                // datagrams, after the last look
    bool transmitting_ = false;           // more is due
    bool gathers_ = false;                // so that neither the kernel's events nor peers wake it
    Instant events_at_ = Instant::min();  // not to be read before

    bool knows_news_ = false;
    Mastership mastership_;
    std::uint64_t committed_ = 0;  // takeover
    std::uint64_t takeovers_ = 0;
    Instant takeover_at_{};  // when the last one was told
    std::optional<Duration> last_commit_;
    std::uint64_t bound_exceeded_ = 0;
    bool has_heard_peers_ = false;  // all that waited when the takeover was told
    std::optional<SyncCopy> told_;
    Instant tell_at_ = Instant::min();

    std::array<pollfd, kDeferred + 1> sources_{};
    Instant now_;
    const Instant started_;
    bool is_outdated_ = false;  // settings were told that only another one can begin with
    Instant end_at_ = kNever;   // it was told to end
};

// The process's main function; returns its exit code.
int run_sync(const Config& config, MessageSocket engine);

}  // namespace carpd
