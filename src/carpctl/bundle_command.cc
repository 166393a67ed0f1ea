// `carpctl bundle`: one archive for a bug report. Every source has a time limit and a limit of bytes, so it
// ends, and within a few megabytes, however ill the host is.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "carpctl/bundle.h"
#include "carpctl/commands.h"
#include "carpctl/subprocess.h"
#include "control/config_answer.h"

namespace carpd {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPatience{5000};
constexpr std::size_t kMostOfAnswer = 16 << 20;  // of thousands of groups; it shrinks to a twentieth
constexpr std::size_t kMostOfOthers = 1 << 20;

// Ctrl-C doesn't end the program in its lifetime, but behind it: so nothing stays that was begun.
class Uninterrupted {
 public:
    Uninterrupted() {
        sigset_t ends;
        sigemptyset(&ends);
        for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ends, signal);
        sigprocmask(SIG_BLOCK, &ends, &before_);
    }
    Uninterrupted(const Uninterrupted&) = delete;
    Uninterrupted& operator=(const Uninterrupted&) = delete;
    ~Uninterrupted() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
    sigset_t before_{};
};

bool is_interrupted() {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
           sigismember(&pending, SIGHUP) == 1;
}

class Gatherer {
 public:
    explicit Gatherer(const Options& options) : options_(options) {}

    std::vector<BundleFile> gather() {
        add("version.txt", "versions of carpctl and the kernel", versions());
        ask_daemon("status.json", "the daemon's status", to_line(Request{}));
        ask_daemon("history.json", "its last changes", to_line(Request{.command = Command::history}));
        add_configuration();
        if (const auto sync = connect_to_sync(options_.socket); sync || sync.error().code != kNotRunning)
            ask("sync.json", "state synchronisation", to_line(SyncRequest{}),
                connect_to_sync(options_.socket));
        run("links.json", "network interfaces", {"ip", "-j", "-d", "-s", "link"});
        run("addresses.json", "their addresses", {"ip", "-j", "addr"});
        run("neighbours.json", "neighbours", {"ip", "-j", "neigh"});
        add("sysctl.txt", "the kernel's settings that matter", sysctls());
        run("nftables.txt", "the firewall's rules", {"nft", "list", "ruleset"});
        run("journal.txt", "the last lines of carpd's journal",
            {"journalctl", "-q", "--no-pager", "-n", "2000", "-o", "short-iso-precise", "-u", "carpd.service",
             "-u", "carpd@*.service"});
        return std::move(files_);
    }

 private:
    void add(std::string name, std::string what, std::string text, std::string note = {}) {
        files_.push_back({std::move(name), std::move(what), std::move(text), std::move(note)});
    }

    // What others wrote: carpd's own JSON has no secrets, and a word of it may be somebody's password.
    void add_foreign(std::string name, std::string what, const std::string& text, std::string note) {
        add(std::move(name), std::move(what), secrets_.keep_out_of(text), std::move(note));
    }

    void run(std::string name, std::string what, const std::vector<std::string>& argv) {
        if (is_interrupted()) return;
        ProgramOutput ran = run_program(argv, kPatience, kMostOfOthers);
        const std::string note = ran.failure ? *ran.failure : ran.is_cut ? "cut after 1 MiB" : "";
        add_foreign(std::move(name), std::move(what), ran.text, note);
    }

    void ask(std::string name, std::string what, const std::string& request,
             Expected<Client, Failure> client) {
        if (!client) return add(std::move(name), std::move(what), "", client.error().message);
        auto line = client->ask(request);
        if (!line) return add(std::move(name), std::move(what), "", line.error().message);
        const bool is_cut = line->size() > kMostOfAnswer;
        line->resize(std::min(line->size(), kMostOfAnswer));
        add(std::move(name), std::move(what), *line + "\n", is_cut ? "cut after 16 MiB" : "");
    }
    void ask_daemon(std::string name, std::string what, const std::string& request) {
        ask(std::move(name), std::move(what), request, Client::connect(options_.socket));
    }

    // Of the file of the daemon, or else of the default one; and what the daemon runs with.
    void add_configuration() {
        std::string file(kDefaultConfigFile);
        const char* const what = "the configuration that the daemon runs with";
        auto client = Client::connect(options_.socket);
        auto answer = client ? carpd::ask(*client, to_line(Request{.command = Command::config}))
                             : Expected<Answer, Failure>(Unexpected{client.error()});
        if (answer) {
            file = answer->json.at("file").get<std::string>();
            add("config-running.toml", what, to_toml(without_private(read_sections(answer->json))));
        } else {
            add("config-running.toml", what, "", answer.error().message);
        }
        add_file(file);
    }

    void add_file(const std::string& file) {
        const std::string what = "what stands in " + file;
        if (file == kUcarpCommandLine)
            return add("config-file.toml", what, "", "there is no file; see config-running.toml");
        const auto read = load_config(file);
        if (read) {
            secrets_ = Secrets(read->config);
            return add("config-file.toml", what, to_toml(without_private(describe(read->config))));
        }
        // What is wrong may be a key that stands in the wrong place, so it isn't quoted.
        std::string places;
        for (const ConfigError& error : read.error())
            places += fmt::format("{}{}", places.empty() ? "" : ", ", error.at.line);
        add("config-file.toml", what, "",
            fmt::format("it is not valid (lines {}); see `carpctl config check`", places));
    }

    static std::string versions() {
        utsname system{};
        uname(&system);
        return fmt::format("carpctl {}\n{} {} {} {}\n{}", CARPD_VERSION, system.sysname, system.release,
                           system.version, system.machine, read("/etc/os-release"));
    }

    static std::string read(const fs::path& path) {
        std::ifstream in(path);
        std::string text(65536, '\0');
        in.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
        return text;
    }

    // Those of every interface, and a few of the host.
    static std::string sysctls() {
        std::vector<std::string> names = {"net/ipv4/ip_forward", "net/ipv4/igmp_max_memberships",
                                          "net/netfilter/nf_conntrack_max",
                                          "net/netfilter/nf_conntrack_buckets", "net/core/rmem_max"};
        std::error_code error;
        for (const char* family : {"ipv4", "ipv6"})
            for (const auto& entry :
                 fs::directory_iterator(fmt::format("/proc/sys/net/{}/conf", family), error))
                for (const char* key : {"rp_filter", "arp_ignore", "arp_announce", "arp_filter", "arp_accept",
                                        "accept_local", "forwarding", "accept_dad", "disable_ipv6"})
                    if (fs::exists(entry.path() / key, error))
                        names.push_back(fs::relative(entry.path() / key, "/proc/sys", error).string());
        std::string text;
        for (const std::string& name : names)
            if (const std::string value = read("/proc/sys/" + name); !value.empty())
                text += fmt::format("{} = {}", name, value);
        return text.substr(0, kMostOfOthers);
    }

    const Options& options_;
    Secrets secrets_;
    std::vector<BundleFile> files_;
};

std::string default_name() {
    utsname system{};
    uname(&system);
    char time[32];
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    std::strftime(time, sizeof time, "%Y%m%d-%H%M%S", localtime_r(&now, &local));
    return fmt::format("carpd-bundle-{}-{}.tar.gz", system.nodename, time);
}

// What is wrong, if anything is.
std::optional<std::string> pack_in(const std::string& folder, int archive,
                                   const std::vector<BundleFile>& files) {
    const std::string inner = "carpd-bundle";
    fs::create_directory(folder + "/" + inner);
    const auto put = [&](const std::string& name, const std::string& text) {
        std::ofstream out(folder + "/" + inner + "/" + name, std::ios::binary);
        out << text;
        out.close();
        return out.good();
    };
    bool is_put = put("MANIFEST.txt", manifest(files));
    for (const BundleFile& file : files)
        if (!file.text.empty()) is_put = put(file.name, file.text) && is_put;
    if (!is_put) return fmt::format("cannot write to {}", folder);
    return run_program_into(archive, {"tar", "-C", folder, "--owner=0", "--group=0", "-cz", inner},
                            std::chrono::seconds(60));
}

std::optional<std::string> pack(int archive, const std::vector<BundleFile>& files) {
    std::error_code error;
    std::string folder = (fs::temp_directory_path(error) / "carpctl-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr)
        return fmt::format("cannot make {}: {}", folder, std::strerror(errno));
    auto failure = pack_in(folder, archive, files);
    fs::remove_all(folder, error);
    return failure;
}

}  // namespace

ExitCode bundle_command(const Options& options, const std::string& output) {
    const std::string name = output.empty() ? default_name() : output;
    const Uninterrupted until_all_is_done;
    const int archive = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (archive < 0)
        return report({kFailed, fmt::format("{}: it cannot be made: {}", name, std::strerror(errno))});
    const std::vector<BundleFile> files = Gatherer(options).gather();
    auto failure = is_interrupted() ? std::nullopt : pack(archive, files);
    if (is_interrupted()) failure = "interrupted";
    if (::close(archive) != 0 && !failure) failure = fmt::format("{}: {}", name, std::strerror(errno));
    if (failure) {
        ::unlink(name.c_str());
        return report({kFailed, *failure});
    }
    if (options.json)
        fmt::print("{}\n", dump(manifest_json(name, files)));
    else
        fmt::print("{}: {} bytes\n{}", name, fs::file_size(name), manifest(files));
    return kOk;
}

}  // namespace carpd
