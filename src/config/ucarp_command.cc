#include "config/ucarp_command.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "config/ucarp_options.h"
#include "config/values.h"

namespace carpd {

namespace {

// ucarp's own.
constexpr int kBadOptions = 1, kBadPasswordOrInterface = 2;

constexpr std::string_view kHelp =
    R"(usage: ucarp -s ADDRESS -v VHID -p PASSWORD -a ADDRESS [options]       (also: carpd ucarp ...)

  -i, --interface NAME    where it is served; without, the interface that has the source address
  -s, --srcip ADDRESS     this host's own address
  -v, --vhid NUMBER       1 to 255; the same on all hosts that share the address
  -p, --pass PASSWORD     up to 19 bytes
  -o, --passfile FILE     whose first line is the password
  -a, --addr ADDRESS      the shared address, IPv4
  -u, --upscript FILE     run as FILE INTERFACE ADDRESS [XPARAM] on becoming MASTER
  -d, --downscript FILE   run in the same way on becoming BACKUP, and at the start
  -x, --xparam TEXT       a further argument of the scripts
  -n, --neutral           don't run the down script at the start
  -z, --shutdown          a MASTER that ends runs the down script
  -b, --advbase SECONDS   how often to advertise, 0 to 254 (1)
  -k, --advskew NUMBER    plus so many 1/256 s, 0 to 254 (0)
  -r, --deadratio NUMBER  not as with ucarp: a backup always waits for three advertisements
  -P, --preempt           take over from a worse master
  -S, --ignoreifstate     also on an interface without a link
  -M, --nomcast           advertise to everybody on the link
  -m, --mcast ADDRESS     only 224.0.0.18
  -B, --daemonize         run in the background
  -f, --facility NAME     of syslog (daemon)
  -D, --debug             log more
  -h, --help              this text

SIGUSR1 has the state logged, SIGUSR2 makes a MASTER step back; SIGTERM, SIGINT and SIGHUP end it in order.)";

class CommandReader {
 public:
    Expected<UcarpCommand, UcarpRefusal> read(const UcarpOptions& options) {
        if (!options.unknown.empty())
            refuse(kBadOptions, fmt::format("{} is no option of ucarp; --help shows which there are",
                                            options.unknown.front()));
        for (const UcarpOption& option : options.given) {
            if (option.wants_value && !option.value)
                refuse(kBadOptions, fmt::format("--{} needs a value", option.name));
            else
                take(option.letter, option.value.value_or(""));
        }
        for (const std::string& other : options.others)
            warn(fmt::format("'{}' is no option; it is ignored", other));
        finish();
        if (refusal_) return Unexpected{*std::move(refusal_)};
        command_.config.groups.push_back(group_);
        command_.config.ucarp = std::move(mode_);
        set_ucarp_interface(command_.config, group_.interface);
        return std::move(command_);
    }

 private:
    void take(char letter, const std::string& value) {
        switch (letter) {
            case 'i': take_interface(value); break;
            case 's': mode_.source = address(value, "source address").value_or(IpAddress()); break;
            case 'm': take_multicast(value); break;
            case 'v': take_number(value, "vhid", 1, 255, group_.vhid.value); break;
            case 'p': take_password(value); break;
            case 'o': take_password_file(value); break;
            case 'P': group_.preempt = true; break;
            case 'n': mode_.is_neutral = true; break;
            case 'a': take_address(value); break;
            case 'b': take_number(value, "advbase", 0, 254, group_.advbase.seconds); break;
            case 'k': take_advskew(value); break;
            case 'u': mode_.up_script = absolute(value); break;
            case 'd': mode_.down_script = absolute(value); break;
            case 'r': take_dead_ratio(value); break;
            case 'z': mode_.runs_down_script_at_end = true; break;
            case 'B': command_.is_background = true; break;
            case 'S': mode_.ignores_link = true; break;
            case 'M': mode_.broadcasts = true; break;
            case 'f': command_.facility = value; break;
            case 'x': mode_.parameter = value; break;
            case 'D': command_.is_verbose = true; break;
            default: break;  // help, which parse_ucarp_command() has looked for
        }
    }

    void take_number(const std::string& text, std::string_view name, unsigned least, unsigned most,
                     std::uint8_t& out) {
        const auto number = parse_number(text);
        if (number && *number >= least && *number <= most)
            out = static_cast<std::uint8_t>(*number);
        else
            refuse(kBadOptions, fmt::format("{} '{}' must be {} to {}", name, text, least, most));
    }

    // 255, which ucarp's help allows, says in an advertisement that its sender leaves.
    void take_advskew(const std::string& text) {
        if (text == "255") warn("advskew 255 is taken as 254, the most that CARP allows");
        take_number(text == "255" ? "254" : text, "advskew", 0, 254, group_.advskew.value);
    }

    void take_dead_ratio(const std::string& text) {
        std::uint8_t ratio = 3;
        take_number(text, "deadratio", 1, 255, ratio);
        if (ratio != 3)
            warn(
                fmt::format("deadratio {} is not kept: a backup waits for three advertisements; to take "
                            "over faster, give a smaller advbase or advskew on all hosts",
                            ratio));
    }

    void take_interface(const std::string& name) {
        if (const auto complaint = check_interface(name))
            refuse(kBadPasswordOrInterface, fmt::format("{}; {}", complaint->message, complaint->hint));
        group_.interface = name;
    }

    void take_multicast(const std::string& text) {
        if (text != "224.0.0.18")
            refuse(kBadOptions, fmt::format("mcast {}: carpd advertises to 224.0.0.18 only; leave it out on "
                                            "all hosts, and tell groups of hosts apart by their vhids",
                                            text));
    }

    void take_password(std::string_view password) {
        const auto key = key_from_password(password);
        has_password_ = true;
        if (key)
            group_.key = *key;
        else
            refuse(password.size() > kMaxPassword ? kBadPasswordOrInterface : kBadOptions,
                   fmt::format("{}: {}", key.error().message, key.error().hint));
    }

    void take_password_file(const std::string& path) {
        has_password_ = true;
        bool open_to_all = false;
        const auto line = read_first_line("passfile", path, working_directory(), kMaxPassword, open_to_all);
        if (!line) return refuse(kBadOptions, line.error().message);
        if (open_to_all) warn(fmt::format("passfile {} can be read by everybody; chmod o-r it", path));
        take_password(*line);
    }

    // Of a host, IPv4: ucarp knows no other, and what it signs would be another list of addresses.
    std::optional<IpAddress> address(const std::string& text, std::string_view name) {
        const auto parsed = parse_virtual_address(text + "/32");
        if (parsed && parsed->address.family() == Family::ipv4) return parsed->address;
        refuse(kBadOptions, fmt::format("{} '{}' is no IPv4 address that a host may have; write it like "
                                        "192.0.2.100, without a prefix length",
                                        name, text));
        return std::nullopt;
    }

    void take_address(const std::string& text) {
        const auto shared = address(text, "shared address");
        group_.addresses.clear();
        if (shared) group_.addresses.push_back({*shared, shared->bit_count()});
    }

    // carpd's scripts run in /.
    static std::string absolute(const std::string& path) {
        return path.empty() ? path : (std::filesystem::path(working_directory()) / path).string();
    }
    static std::string working_directory() {
        std::error_code error;
        const auto directory = std::filesystem::current_path(error);
        return error ? "/" : directory.string();
    }

    void finish() {
        require(group_.vhid.value != 0, "--vhid, a number from 1 to 255");
        require(has_password_, "--pass or --passfile");
        require(!mode_.source.is_unspecified(), "--srcip, this host's own address");
        require(!group_.addresses.empty(), "--addr, the address that is shared");
        if (group_.advbase.seconds == 0 && group_.advskew.value == 0)
            refuse(kBadOptions, "advbase and advskew are both 0; one of them must be more");
        if (mode_.up_script.empty()) warn("without --upscript nobody installs the address on a MASTER");
        if (mode_.down_script.empty()) warn("without --downscript nobody removes the address on a BACKUP");
        group_.mac = MacMode::interface_mac;
        command_.config.dataplane = DataPlaneChoice::macvlan;  // of which nothing is used: no BPF
    }

    void require(bool is_there, std::string_view what) {
        if (!is_there) refuse(kBadOptions, fmt::format("{} is missing", what));
    }
    // The first one is told.
    void refuse(int exit_code, std::string text) {
        if (!refusal_) refusal_ = UcarpRefusal{exit_code, "ucarp: " + std::move(text)};
    }
    void warn(std::string text) { command_.warnings.push_back(std::move(text)); }

    UcarpCommand command_;
    GroupConfig group_;
    UcarpMode mode_;
    bool has_password_ = false;
    std::optional<UcarpRefusal> refusal_;
};

bool asks_for_help(const UcarpOptions& options) {
    for (const UcarpOption& option : options.given)
        if (option.letter == 'h') return true;
    return false;
}

}  // namespace

Expected<UcarpCommand, UcarpRefusal> parse_ucarp_command(const std::vector<std::string>& words) {
    const UcarpOptions options = read_ucarp_options(words);
    if (asks_for_help(options)) return Unexpected{UcarpRefusal{0, std::string(kHelp)}};
    if (words.empty()) return Unexpected{UcarpRefusal{kBadOptions, std::string(kHelp)}};
    return CommandReader().read(options);
}

void set_ucarp_interface(Config& config, const std::string& interface) {
    GroupConfig& group = config.groups.front();
    group.interface = interface;
    group.name = fmt::format("{}-{}", interface, group.vhid.value);
    config.control = fmt::format("/run/carpd/ucarp-{}.sock", group.name);
}

}  // namespace carpd
