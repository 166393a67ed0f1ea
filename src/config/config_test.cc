// tests/config holds files and, beside each, what carpd says of it. To rewrite those after a change, run this
// with CARPD_REWRITE=1 and review the difference.
#include "config/config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "config/nearest.h"
#include "config/values.h"

namespace carpd {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string list(const auto& values) {
    std::string text;
    for (const auto& value : values) text += (text.empty() ? "" : ", ") + value.to_string();
    return "[" + text + "]";
}

std::string show(const BalanceConfig& pool) {
    std::string carpnodes;
    for (const Carpnode& c : pool.carpnodes)
        carpnodes += fmt::format(" {}:{}*{}", c.vhid, c.advskew, c.weight);
    return fmt::format("  carpnode of {}: {} by {} hash{}\n", pool.pool, to_string(pool.mode),
                       to_string(pool.hash), carpnodes);
}

std::string show(const GroupConfig& g) {
    std::string key;
    for (std::uint8_t byte : g.key) key += fmt::format("{:02x}", byte);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(g.preempt_delay).count();
    return fmt::format("group {}: interface {} vhid {}\n  addresses {}\n  key {}\n", g.name, g.interface,
                       g.vhid.value, list(g.addresses), key) +
           fmt::format(
               "  advbase {} advskew {} preempt {}{} mac {}\n  peers {} routed {}\n", g.advbase.seconds,
               g.advskew.value, g.preempt, seconds > 0 ? fmt::format(" after {} s", seconds) : "",
               g.mac == MacMode::virtual_mac ? "virtual" : "interface", list(g.peers), g.peer_routed) +
           (g.interface_groups.empty()
                ? ""
                : fmt::format("  interface groups {}\n", fmt::join(g.interface_groups, ", "))) +
           (g.accepts_another() ? fmt::format("  accepts {}key {}\n", g.accept_key ? "another " : "its ",
                                              list(g.accept_addresses))
                                : "") +
           (g.balance ? show(*g.balance) : "") +
           (g.together.empty() ? "" : fmt::format("  together {}\n", g.together));
}

std::string show(const HookConfig& hook) {
    constexpr const char* kEvents[] = {"init", "backup", "master", "reasserted"};
    std::string on;
    for (HookEvent event : hook.on) on += fmt::format(" {}", kEvents[static_cast<std::size_t>(event)]);
    return fmt::format("hook on{} of {}: {} within {} s\n", on, fmt::join(hook.groups, ", "),
                       fmt::join(hook.command, " | "), hook.timeout / std::chrono::seconds(1));
}

std::string show(const TcpCheck& c) {
    return fmt::format("{} port {}", c.address.to_string(), c.port);
}

std::string show(const Subject& subject) {
    struct Visitor {
        std::string operator()(const LinkCheck& c) const { return c.interface; }
        std::string operator()(const RouteCheck& c) const { return c.prefix.to_string(); }
        std::string operator()(const GatewayCheck& c) const {
            return fmt::format("{} by {} on {}", c.address.to_string(), c.icmp ? "icmp" : "arp",
                               c.device.empty() ? "its subnet" : c.device);
        }
        std::string operator()(const TcpCheck& c) const { return show(c); }
        std::string operator()(const HttpCheck& c) const {
            return fmt::format("{} of {} at {} answers {}", c.path, c.authority, show(c.server), c.status);
        }
        std::string operator()(const ProcessCheck& c) const { return c.name; }
        std::string operator()(const FileCheck& c) const { return c.path; }
        std::string operator()(const ScriptCheck& c) const {
            return fmt::format("{}", fmt::join(c.argv, " | "));
        }
    };
    return fmt::format("{} {}", kind_of(subject), std::visit(Visitor{}, subject));
}

std::string show(const TrackConfig& t) {
    return fmt::format("track {}: {}\n  {} of {}, every {} s within {} s, rise {} fall {}\n", t.name,
                       show(t.subject), t.withdraw ? "withdraws" : fmt::format("demotes by {}", t.demote),
                       t.groups.empty() ? "all" : fmt::format("{}", fmt::join(t.groups, ", ")),
                       t.interval / std::chrono::seconds(1), t.timeout / std::chrono::seconds(1), t.rise,
                       t.fall);
}

std::string show(const SyncConfig& s) {
    const auto ms = [](Duration d) { return d / std::chrono::milliseconds(1); };
    std::string keys;
    for (std::uint8_t byte : s.keys.first) keys += fmt::format("{:02x}", byte);
    if (s.keys.second) keys += " or ";
    for (std::uint8_t byte : s.keys.second.value_or(Secret{}))
        keys += s.keys.second ? fmt::format("{:02x}", byte) : "";
    return fmt::format("sync {} on {}: port {} peers {} routed {}\n  key {}\n", s.name.view(), s.interface,
                       s.port, list(s.peers), s.peer_routed, keys) +
           fmt::format("  dead after {} ms, commit {} within {} ms, {} flows\n", ms(s.dead_after),
                       s.commit_at_takeover ? "at takeover" : "directly", ms(s.commit_wait), s.max_flows) +
           fmt::format("  ignored {} protocols [{}] zones [{}] TCP states [{}]\n", list(s.ignored),
                       fmt::join(s.protocols, ", "), fmt::join(s.zones, ", "),
                       fmt::join(s.tcp_states, ", ")) +
           (s.defer.empty()
                ? ""
                : fmt::format("  defer [{}] for {} ms\n", fmt::join(s.defer, ", "), ms(s.defer_wait)));
}

// All that carpd makes of a file, as text.
std::string show(const std::string& name, const std::string& text) {
    const auto file = parse_config(text, "/nonexistent");
    std::string out;
    if (!file) {
        for (const ConfigError& error : file.error()) out += "error: " + error.to_string(name) + "\n";
        return out;
    }
    for (const ConfigError& warning : file->warnings) out += "warning: " + warning.to_string(name) + "\n";
    constexpr const char* kDataPlanes[] = {"auto", "bpf", "macvlan"};
    out += fmt::format("control {} dataplane {}\n", file->config.control,
                       kDataPlanes[static_cast<std::size_t>(file->config.dataplane)]);
    if (file->config.hold_down > Duration(0))
        out += fmt::format("hold-down {} s\n", file->config.hold_down / std::chrono::seconds(1));
    for (const GroupConfig& group : file->config.groups) out += show(group);
    for (const HookConfig& hook : file->config.hooks) out += show(hook);
    for (const TrackConfig& track : file->config.tracks) out += show(track);
    if (file->config.sync) out += show(*file->config.sync);
    if (const auto& m = file->config.metrics)
        out += fmt::format("metrics at {}: address {} port {} socket {}\n", m->listen,
                           m->address ? m->address->to_string() : "none", m->port, m->socket());
    return out;
}

TEST(Config, MissingInterfacesAreReportedAmongTheOtherErrors) {
    const auto file =
        parse_config("[[group]]\ninterface = \"eth9\"\nvhid = 300\naddresses = [\"192.0.2.1/24\"]\n",
                     "/nonexistent", std::vector<std::string>{"lo", "eth0"});
    ASSERT_FALSE(file);
    ASSERT_THAT(file.error(), SizeIs(2));
    EXPECT_EQ(file.error()[0].to_string("f"), "f:2:13: there is no interface 'eth9'; there are: lo, eth0");
    EXPECT_THAT(file.error()[1].message, HasSubstr("vhid 300"));
}

class ConfigFiles : public testing::TestWithParam<fs::path> {};

TEST_P(ConfigFiles, AreJudgedAsExpected) {
    const fs::path path = GetParam();
    const std::string name = path.filename().string();
    const std::string shown = show(name, read_file(path));
    const fs::path expected = fs::path(path).replace_extension(".expected");
    if (std::getenv("CARPD_REWRITE") != nullptr) std::ofstream(expected) << shown;
    EXPECT_EQ(shown, read_file(expected));
    EXPECT_EQ(shown.starts_with("error: "), name.starts_with("bad_")) << shown;
}

std::vector<fs::path> config_files() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(CARPD_SOURCE_DIR "/tests/config"))
        if (entry.path().extension() == ".toml") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

INSTANTIATE_TEST_SUITE_P(Tree, ConfigFiles, testing::ValuesIn(config_files()),
                         [](const auto& test) { return test.param.stem().string(); });

TEST(ConfigFiles, HasOneOfEachKind) {
    EXPECT_GT(config_files().size(), 10u);
}

TEST(ParseConfig, RefusesAHugeFile) {
    const auto file = parse_config(std::string(kMaxConfigSize + 1, '\n'), "");
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().front().to_string("f"), HasSubstr("larger than 1 MiB"));
    // One byte less is judged by what it says.
    EXPECT_THAT(parse_config(std::string(kMaxConfigSize, '\n'), "").error().front().message,
                HasSubstr("no [[group]]"));
}

TEST(ParseConfig, SurvivesDeepNesting) {
    EXPECT_FALSE(parse_config("a = " + std::string(100000, '['), ""));
    EXPECT_FALSE(parse_config("a = " + std::string(100, '[') + std::string(100, ']'), ""));
}

TEST(ParseConfig, ManyGroupsTakeNoLongerThanTheirNumber) {
    std::string text;
    for (int i = 0; i < 4096; ++i)
        text += fmt::format(
            "[[group]]\ninterface=\"v{}\"\nvhid={}\naddresses=[\"10.{}.{}.1/24\"]\npassword=\"x\"\n", i / 255,
            i % 255 + 1, i / 256, i % 256);
    const auto file = parse_config(text, "");
    ASSERT_TRUE(file) << file.error().front().to_string("f");
    EXPECT_THAT(file->config.groups, SizeIs(4096));
}

TEST(ParseConfig, LongListsTakeNoLongerThanTheirLength) {
    std::string zones, prefixes;
    for (int i = 0; i < 65536; ++i) zones += fmt::format("{},", i);
    for (int i = 0; i < 1 << 15; ++i) prefixes += fmt::format("\"10.{}.{}.0/24\",", i >> 8, i & 255);
    const auto file = parse_config(
        "[[group]]\ninterface=\"v\"\nvhid=1\naddresses=[\"10.0.0.1/24\"]\n[sync]\ninterface=\"v\"\n"
        "peers=[\"10.9.0.2\"]\nname=\"a\"\nkey-hex=\"" +
            std::string(64, '1') + "\"\nzones=[" + zones + "]\nignore-addresses=[" + prefixes + "]\n",
        "");
    ASSERT_TRUE(file) << file.error().front().to_string("f");
    EXPECT_THAT(file->config.sync->zones, SizeIs(65536));
}

TEST(SyncSocket, StandsBesideTheControlSocket) {
    EXPECT_EQ(sync_socket("/run/carpd/control.sock"), "/run/carpd/control.sock.sync");
}

TEST(ConfigErrorText, HasNothingATerminalWouldObey) {
    const ConfigError error{{3, 4}, "a\x1b[31m\nb", "hint"};
    EXPECT_EQ(error.to_string("f"), "f:3:4: a?[31m?b; hint");
}

// ---- files with permissions

class LoadConfig : public testing::Test {
 protected:
    LoadConfig() {
        std::string name = testing::TempDir() + "carpd-config-XXXXXX";
        directory_ = ::mkdtemp(name.data());
    }
    ~LoadConfig() override { fs::remove_all(directory_); }

    std::string write(const std::string& name, const std::string& text, fs::perms mode) {
        const fs::path path = directory_ / name;
        std::ofstream(path) << text;
        fs::permissions(path, mode);
        return path.string();
    }
    static std::string group(const std::string& key) {
        return "[[group]]\ninterface = \"eth0\"\nvhid = 1\naddresses = [\"192.0.2.100/24\"]\n" + key;
    }

    static constexpr fs::perms kPrivate = fs::perms::owner_read | fs::perms::owner_write;
    static constexpr fs::perms kOpen = kPrivate | fs::perms::group_read | fs::perms::others_read;
    fs::path directory_;
};

TEST_F(LoadConfig, WarnsOfAPasswordThatEverybodyCanRead) {
    const auto file = load_config(write("carpd.toml", group("password = \"s3cret\""), kOpen));
    ASSERT_TRUE(file);
    ASSERT_THAT(file->warnings, SizeIs(1));
    EXPECT_THAT(file->warnings[0].to_string("carpd.toml"), HasSubstr("carpd.toml: it contains a password"));
}

TEST_F(LoadConfig, IsContentWithAPrivateFile) {
    const auto file = load_config(write("carpd.toml", group("password = \"s3cret\""), kPrivate));
    ASSERT_TRUE(file);
    EXPECT_THAT(file->warnings, IsEmpty());
}

TEST_F(LoadConfig, FindsThePasswordFileBesideTheConfiguration) {
    write("key", "s3cret\n", kPrivate);
    const auto file = load_config(write("carpd.toml", group("password-file = \"key\""), kOpen));
    ASSERT_TRUE(file) << file.error().front().to_string("f");
    EXPECT_THAT(file->warnings, IsEmpty());
    EXPECT_EQ(file->config.groups[0].key, *key_from_password("s3cret"));
}

TEST_F(LoadConfig, WarnsOfAnOpenPasswordFile) {
    write("key", "s3cret", kOpen);
    const auto file = load_config(write("carpd.toml", group("password-file = \"key\""), kOpen));
    ASSERT_TRUE(file);
    ASSERT_THAT(file->warnings, SizeIs(1));
    EXPECT_EQ(file->warnings[0].at, (Position{5, 17}));
}

class LoadSync : public LoadConfig {
 protected:
    static constexpr const char* kKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    static std::string sync(const std::string& keys) {
        return group("password-file = \"password\"") +
               "\n[sync]\ninterface = \"eth2\"\npeers = [\"10.9.0.2\"]\n" + keys;
    }
    // With the group's password beside it.
    auto load(const std::string& text, fs::perms mode, InterfaceNames interfaces = {}) {
        write("password", "s3cret", kPrivate);
        return load_config(write("carpd.toml", text, mode), std::move(interfaces));
    }
};

TEST_F(LoadSync, FindsTheKeyFileBesideTheConfiguration) {
    write("sync.key", std::string(kKey) + "\n", kPrivate);
    const auto file = load(sync("key-file = \"sync.key\""), kOpen);
    ASSERT_TRUE(file) << file.error().front().to_string("f");
    EXPECT_THAT(file->warnings, IsEmpty());
    ASSERT_TRUE(file->config.sync);
    EXPECT_EQ(file->config.sync->keys.first[1], 0x11);
    EXPECT_EQ(file->config.sync->keys.first[31], 0xff);
}

TEST_F(LoadSync, WarnsOfKeysThatEverybodyCanRead) {
    write("sync.key", kKey, kOpen);
    const auto in_file = load(sync("key-file = \"sync.key\""), kOpen);
    ASSERT_TRUE(in_file);
    ASSERT_THAT(in_file->warnings, SizeIs(1));
    EXPECT_EQ(in_file->warnings[0].to_string("f"),
              "f:9:12: key-file sync.key can be read by everybody; chmod o-r it");

    const auto inside = load(sync("key-hex = \"" + std::string(kKey) + "\""), kOpen);
    ASSERT_TRUE(inside);
    ASSERT_THAT(inside->warnings, SizeIs(1));
    EXPECT_THAT(inside->warnings[0].message, HasSubstr("contains a password or key"));
    EXPECT_THAT(load(sync("key-hex = \"" + std::string(kKey) + "\""), kPrivate)->warnings, IsEmpty());
}

TEST_F(LoadSync, SaysWhatIsWrongWithAKeyFile) {
    const auto message = [&](const std::string& content) {
        write("sync.key", content, kPrivate);
        const auto file = load(sync("key-file = \"sync.key\""), kPrivate);
        return file ? "none" : file.error().front().message;
    };
    EXPECT_EQ(message(std::string(kKey) + "\nnotes"), "none");
    EXPECT_EQ(message(std::string(kKey) + "0\n"), "key-file sync.key has no key in its first line");
    EXPECT_EQ(message(std::string(kKey) + "00\n"), "key-file sync.key has no key in its first line");
    EXPECT_EQ(message(std::string(kKey) + " \n"), "key-file sync.key has no key in its first line");
    EXPECT_EQ(message(std::string(64, '0')), "the key of key-file is all zeros");
    EXPECT_THAT(message(""), HasSubstr("empty first line"));
    EXPECT_THAT(message(std::string(1 << 20, 'a')), HasSubstr("no key"));
}

TEST_F(LoadSync, AsksForItsInterface) {
    write("sync.key", kKey, kPrivate);
    const auto file = load(sync("key-file = \"sync.key\""), kPrivate, std::vector<std::string>{"eth0"});
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().front().to_string("f"), "f:7:13: there is no interface 'eth2'; there are: eth0");
}

TEST_F(LoadSync, TakesTheHostsNameUnlessItIsNone) {
    write("sync.key", kKey, kPrivate);
    utsname system{};
    ASSERT_EQ(::uname(&system), 0);
    const auto file = load(sync("key-file = \"sync.key\""), kPrivate);
    ASSERT_TRUE(file) << file.error().front().to_string("f");
    EXPECT_EQ(file->config.sync->name.view(), system.nodename);

    if (::unshare(CLONE_NEWUTS) != 0) GTEST_SKIP() << "only root may have another name";
    ASSERT_EQ(::sethostname("a\tb", 3), 0);
    const auto nameless = load(sync("key-file = \"sync.key\""), kPrivate);
    ASSERT_EQ(::sethostname(system.nodename, std::strlen(system.nodename)), 0);
    ASSERT_FALSE(nameless);
    EXPECT_EQ(nameless.error().front().to_string("f"),
              "f:6:1: this host's name 'a?b' can't be used; add name, by which the peers know it");
}

TEST_F(LoadConfig, SaysWhatIsWrongWithAPasswordFile) {
    const auto message = [&](const std::string& content) {
        write("key", content, kPrivate);
        const auto file = load_config(write("carpd.toml", group("password-file = \"key\""), kPrivate));
        return file ? "none" : file.error().front().message;
    };
    EXPECT_EQ(message("nineteen bytes long\n"), "none");
    EXPECT_THAT(message("twenty bytes of text\n"), HasSubstr("more than 19 bytes"));
    EXPECT_THAT(message(std::string(1 << 20, 'x')), HasSubstr("more than 19 bytes"));
    EXPECT_THAT(message(""), HasSubstr("empty first line"));
    EXPECT_THAT(message("\ns3cret\n"), HasSubstr("empty first line"));
    EXPECT_THAT(message(std::string("a\0b\n", 4)), HasSubstr("zero byte"));
}

TEST_F(LoadConfig, RefusesWhatIsNoFile) {
    EXPECT_EQ(load_config((directory_ / "nosuch").string()).error().front().to_string("nosuch"),
              "nosuch: there is no such file; see carpd.toml(5) for how to write it");
    EXPECT_THAT(load_config(directory_.string()).error().front().message, HasSubstr("not a regular file"));
    // Reading it would wait for a writer, or never end.
    const fs::path pipe = directory_ / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_FALSE(load_config(pipe.string()));
    EXPECT_FALSE(load_config("/dev/zero"));
    const auto file = load_config(write("carpd.toml", group("password-file = \"pipe\""), kPrivate));
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().front().message, HasSubstr("not a regular file"));
}

TEST_F(LoadConfig, RefusesWhatItMayNotRead) {
    const std::string path = write("carpd.toml", group("password-file = \"key\""), kOpen);
    write("key", "s3cret", fs::perms::none);
    fs::permissions(directory_, fs::perms::all);
    const uid_t self = ::geteuid();
    ASSERT_EQ(::seteuid(self == 0 ? 65534 : self), 0);  // root may read everything
    const auto without_key = load_config(path);
    ASSERT_EQ(::seteuid(self), 0);
    ASSERT_FALSE(without_key);
    EXPECT_THAT(without_key.error().front().message, HasSubstr("cannot be read: Permission denied"));
}

// ---- "did you mean ...?"

TEST(Nearest, FindsWhatWasMeant) {
    constexpr std::string_view known[] = {"advbase", "advskew", "addresses", "password", "peers"};
    EXPECT_EQ(nearest("adbase", known), "advbase");    // one missing
    EXPECT_EQ(nearest("addvskew", known), "advskew");  // one too many
    EXPECT_EQ(nearest("adresess", known), "addresses");
    EXPECT_EQ(nearest("pasword", known), "password");
    EXPECT_EQ(nearest("pass", known), "password");  // its beginning
    EXPECT_EQ(nearest("addr", known), "addresses");
    EXPECT_EQ(nearest("PASSWORD", known), "password");
    EXPECT_EQ(nearest("peesr", known), "peers");  // two swapped
}

TEST(Nearest, DoesNotGuessWildly) {
    constexpr std::string_view known[] = {"advbase", "mac", "vhid"};
    EXPECT_EQ(nearest("colour", known), "");
    EXPECT_EQ(nearest("", known), "");
    EXPECT_EQ(nearest("ip", known), "");
    EXPECT_EQ(nearest(std::string(100000, 'a'), known), "");
}

}  // namespace
}  // namespace carpd
