// The driver: turns the host's wake-ups into the core's inputs and performs its Actions on Linux. One thread,
// one clock read per wake-up, nothing in it blocks.
//
//   packet sockets, timer  -> Pump::wake          rtnetlink   -> Node::handle_link, DataPlane::renew
//   control socket         -> requests            signals     -> stop, reload
//   changes of groups      -> helper               carpd: sync -> flows committed, demotion
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/deadlines.h"
#include "base/expected.h"
#include "carp/pump.h"
#include "carpd/helper_link.h"
#include "carpd/history.h"
#include "carpd/kept_demotions.h"
#include "carpd/sync_link.h"
#include "config/config.h"
#include "control/hand_over.h"
#include "control/pool_status.h"
#include "control/request.h"
#include "control/status.h"
#include "health/verdicts.h"
#include "linux/carp_socket.h"
#include "linux/data_plane.h"
#include "linux/line_server.h"
#include "linux/link_monitor.h"
#include "linux/log.h"
#include "linux/netlink_socket.h"
#include "linux/service_manager.h"
#include "linux/unique_fd.h"
#include "linux/watchdog.h"

struct epoll_event;

namespace carpd {

// What the engine has from the supervisor (carpd/supervisor.h) that started it.
struct Supervision {
    pid_t supervisor;
    int restarts;        // of the engine, since the supervisor started
    Watchdog& watchdog;  // armed as long as the engine is in service
    MessageSocket& helper;
    MessageSocket& sync;
    MessageSocket& successor;    // who asks there what this engine knows takes over from it
    MessageSocket* predecessor;  // whom this one asks; null: it starts anew
    std::string last_end;        // of the engine before, if there was one: "was killed by SIGKILL"
    Instant ended_at;            // that one
};

class Engine : private Port {
 public:
    // Opens every socket, removes what an earlier run left behind and starts the groups of `config`; `path`
    // is read again by reload; empty: there is none. The caller blocks SIGTERM, SIGINT and SIGHUP beforehand,
    // so that one that comes meanwhile stops it in order.
    // One with a predecessor prepares itself beside that one, which serves meanwhile, then takes over: then
    // it removes nothing that stands, and its groups are in no other state. After an error the other one
    // serves, unless the log says otherwise.
    static Expected<std::unique_ptr<Engine>, SysError> open(std::shared_ptr<const Config> config,
                                                            std::string path, const Supervision& supervision);

    // Runs until SIGTERM, SIGINT, a stop request or the end of the supervisor, then bows out and withdraws
    // every address; or until another engine has taken over, for which all of it stays.
    enum class End : std::uint8_t { stopped, handed_over };
    End run();

 private:
    // What the driver knows of a group, also of one that the core has just removed.
    struct Group {
        const GroupConfig* config = nullptr;  // in config_; null where there is no group with this id
        int ifindex = 0;                      // of its interface; 0 while there is none
        bool prepared = false;                // the data plane stands ready
        bool owned = false;                   // its addresses are installed
        std::uint64_t takeover = 0;           // with which it waits for its flows; 0: it doesn't
    };
    // One that is being given: a status, or with `config` a configuration.
    struct LongAnswer {
        std::shared_ptr<const Config> config{};
        StatusForm form = StatusForm::whole;
        std::size_t next = 0;       // group: by id, or in the order of the configuration
        bool is_at_pools = false;   // after the groups
        bool has_elements = false;  // of groups, or of pools
        bool is_all(const Node& node) const { return is_at_pools && next >= node.group_slots(); }
    };
    // Everything that was opened.
    struct Kernel {
        std::unique_ptr<Netlink> netlink;  // others keep its address
        LinkMonitor monitor;
        CarpSocket socket;
        DataPlane data_plane;
        LineServer control;
        HelperLink helper;
        SyncLink sync;
        MessageLink successor;
        UniqueFd epoll, epoll_but_packets, timer, signals;
    };

    Engine(std::string path, const Supervision& supervision, Kernel kernel);

    // What it learns before anything is handed over.
    struct Predecessor {
        UniqueFd listener;
        bool has_gate;
    };
    static Expected<Predecessor, SysError> meet(MessageSocket& socket, const Config& config);
    void start(std::shared_ptr<const Config> config);
    void stand_beside(std::shared_ptr<const Config> config);
    std::optional<SysError> take_over();
    void hurry();  // real-time priority for this process, if it can be had
    std::optional<SysError> resume(const HandOver& known);
    void resume(const std::vector<CarpnodeMemory>& carpnodes);
    struct Unheard {
        InterfaceId interface;
        std::vector<std::uint8_t> bytes;
    };
    std::vector<Unheard> take_unheard(const std::optional<std::uint64_t>& last);
    void drain(const std::function<void(const Received&)>& take);
    std::vector<CarpnodeMemory> known_carpnodes() const;
    void hear_successor();
    void meet_successor();
    bool is_quiet() const;
    void hand_over();
    HandOver all_that_is_known() const;
    void end_upgrade(const std::string& why);
    std::string upgrade(LineServer::ClientId client);

    // Wake-ups.
    void configure(std::shared_ptr<const Config> config);
    void adopt(Node& node);
    void release_removed_groups();
    void update_links(const LinkMonitor::Changes& changes);
    void look_around();
    // `has_changed`: something of the interface itself, not only of the groups.
    void update_link(InterfaceId id, bool has_changed);
    void bring_up(const Interface& interface, InterfaceId id, bool has_changed);
    LinkStatus link_of(InterfaceId id) const;
    bool comes_elsewhere(int ifindex) const;
    void repair(const LinkMonitor::Changes& changes);
    void repair(GroupId id, Group& group);
    void handle_signals();
    void handle_line(LineServer::ClientId client, std::string_view line);
    std::string execute(const Request& request, LineServer::ClientId client);
    static void obey(const UcarpMode& ucarp, LinkStatus& status);
    Frame advertisement_frame(GroupId id, Bytes packet) const;
    void log_ucarp_status() const;
    void step_back();
    Processes processes() const;
    void begin_status(LineServer::ClientId client, StatusForm form);
    void begin_config(LineServer::ClientId client);
    bool can_continue_answers() const;
    void continue_answers();
    bool continue_answer(LineServer::ClientId client, LongAnswer& answer, int elements);
    bool continue_config(LineServer::ClientId client, LongAnswer& answer, int elements);
    std::string group_element(GroupId id, StatusForm form) const;
    std::string pool_element(GroupId id) const;
    std::string_view dataplane() const;
    std::vector<GroupId> groups_called(const std::string& name) const;
    std::string status(const std::vector<GroupId>& groups, StatusForm form) const;
    std::string set_state(const std::vector<GroupId>& groups, State state);
    std::string tell_who_serves(const Request& request) const;
    void configure_tracks(const std::vector<TrackConfig>& tracks);
    void hear_verdicts();
    void tell_failing_tracks();
    void configure_sync(const std::optional<SyncConfig>& sync);
    void hear_sync();
    void follow_sync();
    std::string demote(const Request& request, const std::vector<GroupId>& groups);
    bool set_demotion(const Request& request, const std::vector<GroupId>& groups);
    void open_kept_demotions();
    void open_history(const std::string& control);
    void keep_history();
    void set_kept_demotions();
    std::string reload();
    int wait(std::span<epoll_event> events, bool has_chores);
    void arm_timer();
    void push_watchdog();
    void tell_service_manager(std::string_view news);
    void fence(GroupId id, Instant at);
    Instant fence_of(GroupId id, Instant lease_until) const;
    void stop();

    bool prepare(GroupId id);
    void release(GroupId id);
    void broadcast(const std::function<std::string(std::string_view time)>& line);
    std::string unknown(const std::string& group) const;

    // Port
    std::span<const ReceivedPacket> receive() override;
    void refused(const ReceivedPacket& packet, DropReason reason, const GroupId* group) override;
    void perform(const WithdrawAddresses& action) override;
    void perform(std::span<SendAdvertisement> actions) override;
    bool perform(const SendProbe& action) override;
    void perform(std::span<const CommitFlows> actions) override;
    void perform(std::span<InstallAddresses> actions) override;
    void perform(const RenewLease& action) override;
    void perform(const SetPool& action) override;
    void perform(const SendFloodProbe& action) override;
    void perform(const SendBeacon& action) override;
    void perform(std::span<const AnnounceAddresses> actions) override;
    void perform(const ReportTransition& action) override;
    void perform(const ReportRival& action) override;
    void perform(const ReportHeld& action) override;
    void perform(const ReportDemotion& action) override;
    void perform(const ReportUncommitted& action) override;
    void perform(const ReportPool& action) override;
    void perform(const ReportPeer& action) override;

    std::shared_ptr<const Config> config_;
    std::string path_;
    Supervision supervision_;
    Kernel kernel_;
    Node node_;
    Pump pump_;
    std::vector<Group> groups_;  // by GroupId
    Verdicts verdicts_;
    KeptDemotions kept_;
    int sync_demotion_ = 0;
    std::map<int, InterfaceId> interface_of_;  // by ifindex; on each of them CARP's groups are joined
    std::vector<IpAddress> shared_;            // the groups' addresses, sorted
    std::set<LineServer::ClientId> monitors_;
    History history_;
    std::map<LineServer::ClientId, LongAnswer> answers_;
    Deadlines fences_;  // by GroupId: when its addresses must be gone, whoever removes them
    std::vector<ReceivedPacket> batch_;
    std::vector<OutgoingFrame> frames_;                   // to be sent together
    std::vector<DataPlane::Installation> installations_;  // to be made together
    std::vector<LogLimit> refusal_limits_;                // by DropReason
    std::vector<LogLimit> peer_limits_;                   // by PeerNews
    std::size_t heard_ = 0;                               // packets, in this wake-up
    std::uint64_t last_packet_ = 0;                       // packet_digest(); 0: none came
    bool gathers_ = false;                                // packets come one after the other: they may gather
    Instant heard_at_ = Instant::min();
    std::size_t reported_ = 0;  // to people, since the data plane was settled last
    Instant now_;
    const Instant started_ = now_;
    Instant armed_ = kNever;           // for when the timer is set
    Instant pushed_ = Instant::min();  // to when the watchdog is
    Instant chores_due_;
    ServiceManager service_manager_ = ServiceManager::open();
    Instant told_service_manager_ = Instant::min();
    Instant look_around_at_;
    std::size_t next_look_ = 0;  // at which of the node's interfaces
    bool stopping_ = false;
    bool serves_ = true;                            // or another engine does, until it hands over
    std::optional<LineServer::ClientId> upgrader_;  // who waits for how it goes
    Instant hands_over_since_ = kNever;             // a successor is ready
    bool has_handed_over_ = false;
};

}  // namespace carpd
