#include "import/keepalived_words.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace carpd {

namespace {

constexpr std::string_view kNeedless[] = {"accept",
                                          "check_unicast_src",
                                          "debug",
                                          "garp_lower_prio_delay",
                                          "garp_lower_prio_repeat",
                                          "garp_master_delay",
                                          "garp_master_refresh",
                                          "garp_master_refresh_repeat",
                                          "garp_master_repeat",
                                          "higher_prio_send_advert",
                                          "lower_prio_no_advert",
                                          "mcast_src_ip",
                                          "native_ipv6",
                                          "skip_check_adv_addr",
                                          "state",
                                          "unicast_src_ip",
                                          "vmac_xmit_base"};

constexpr std::string_view kAddresses = "carpd brings addresses only; a [[hook]] may add and remove it";
constexpr std::string_view kMail = "carpd sends no mail; a [[hook]] may";

constexpr std::pair<std::string_view, std::string_view> kNoMatch[] = {
    {"dont_track_primary", "a group whose interface has no link is always in INIT"},
    {"down_timer_adverts", "a backup always waits for three advertisements"},
    {"lvs_sync_daemon", "carpd has nothing to do with IPVS"},
    {"lvs_sync_daemon_interface", "carpd has nothing to do with IPVS"},
    {"enable_script_security", "carpd runs what its configuration says"},
    {"mcast_dst_ip", "CARP is sent to 224.0.0.18 and ff02::12, or to peers"},
    {"no_accept", "the addresses always answer"},
    {"notification_email", kMail},
    {"notify_fifo", "`carpctl -j monitor` prints a line for each change"},
    {"notify_master_rx_lower_pri", "a [[hook]] on \"reasserted\" is like it"},
    {"notify_stop", "when carpd stops, hooks are told of the last transitions, to BACKUP or INIT"},
    {"real_server", "carpd has nothing to do with IPVS: keep keepalived for it, without its VRRP"},
    {"script_user", "carpd has no other user for each script"},
    {"smtp_alert", kMail},
    {"static_ipaddress", kAddresses},
    {"static_routes", kAddresses},
    {"static_rules", kAddresses},
    {"strict_mode", "there is no such mode"},
    {"track_bfd", "carpd speaks no BFD; a [[track]] of a gateway or route may do"},
    {"track_file", "a number in a file is no weight for carpd; a [[track]] of a script may do"},
    {"track_src_ip", "carpd doesn't track its source address"},
    {"use_vmac_addr", "carpd has no virtual interface for other addresses"},
    {"virtual_routes", kAddresses},
    {"virtual_rules", kAddresses},
    {"virtual_server", "carpd has nothing to do with IPVS: keep keepalived for it, without its VRRP"},
    {"virtual_server_group", "carpd has nothing to do with IPVS: keep keepalived for it, without its VRRP"},
    {"vrrp_track_file", "a number in a file is no weight for carpd; a [[track]] of a script may do"},
};

}  // namespace

bool is_needless_in_instance(std::string_view word) {
    return std::find(std::begin(kNeedless), std::end(kNeedless), word) != std::end(kNeedless);
}

std::optional<std::string_view> why_no_match(std::string_view word) {
    for (const auto& [name, why] : kNoMatch)
        if (name == word) return why;
    return std::nullopt;
}

}  // namespace carpd
