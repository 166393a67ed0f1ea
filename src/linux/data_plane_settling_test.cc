// A pool that settles (docs/protocol/balance.md, rule N8), on real kernels.
#include <gmock/gmock.h>

#include "linux/test_pool.h"

namespace carpd {
namespace {

using testing::HasSubstr;
using testing::Not;

// A TCP service on a host's addresses, and who asks for it.
UniqueFd listen_on(std::uint16_t port) {
    UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in6 any{AF_INET6, htons(port), 0, IN6ADDR_ANY_INIT, 0};
    EXPECT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(listen(socket.get(), 8), 0);
    return socket;
}

UniqueFd connect_to(const IpAddress& address, std::uint16_t port) {
    const bool is_ipv4 = address.family() == Family::ipv4;
    UniqueFd socket(::socket(is_ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in to4{AF_INET, htons(port), {}, {}};
    sockaddr_in6 to6{AF_INET6, htons(port), 0, {}, 0};
    std::memcpy(is_ipv4 ? static_cast<void*>(&to4.sin_addr) : &to6.sin6_addr, address.bytes().data(),
                address.bytes().size());
    if (is_ipv4)
        connect(socket.get(), reinterpret_cast<sockaddr*>(&to4), sizeof to4);
    else
        connect(socket.get(), reinterpret_cast<sockaddr*>(&to6), sizeof to6);
    return socket;
}

UniqueFd accept_from(const UniqueFd& listener) {
    return readable(listener.get()) ? UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC))
                                    : UniqueFd();
}

// What is written at one end is read at the other.
bool passes_on(const UniqueFd& from, const UniqueFd& to) {
    char byte = 0;
    return send(from.get(), "x", 1, MSG_NOSIGNAL) == 1 && readable(to.get()) &&
           recv(to.get(), &byte, 1, 0) == 1 && byte == 'x';
}

class Settling : public PoolOfHosts, public testing::WithParamInterface<Family> {
 protected:
    static constexpr std::uint16_t kPort = 80;

    void SetUp() override {
        PoolOfHosts::SetUp();
        if (IsSkipped()) return;
        configure(Balancing::ip);
        address = GetParam() == Family::ipv4 ? kPool4 : kPool6;
        from = ip(GetParam() == Family::ipv4 ? "192.0.2.2" : "2001:db8::2");
        owner = shares->carpnode_of(from, address);
        other = (owner + 1) % kHosts;
        for (std::size_t i = 0; i < kHosts; ++i) {
            hosts[i]->place.enter();
            listeners.push_back(listen_on(kPort));
        }
    }
    UniqueFd connect() {
        client->enter();
        return connect_to(address, kPort);
    }
    // RSTs that the client gets of a segment that belongs to no connection.
    std::size_t refusals_of_unknown() {
        std::size_t refusals = 0;
        const std::size_t flags_at = 14u + (GetParam() == Family::ipv4 ? 20 : 40) + 13;
        for (const TestFrame& frame :
             exchange({ethernet(pool_mac(*pool), kClientMac, tcp_packet(from, address, 4321, kPort, kAck))}))
            if (ip_source(frame) == address && (frame[flags_at] & kRst)) ++refusals;
        return refusals;
    }

    IpAddress address, from;
    std::size_t owner = 0, other = 0;
    std::vector<UniqueFd> listeners;  // by host
};

TEST_P(Settling, ConnectionsStayWhereTheyAreAndNewOnesGoToTheOwner) {
    const UniqueFd old = connect();
    const UniqueFd served = accept_from(listeners[owner]);
    ASSERT_TRUE(served);
    ASSERT_TRUE(passes_on(old, served));

    set_pool(1h);
    move(owner, owner, other);
    settle(owner);
    EXPECT_TRUE(passes_on(old, served));
    EXPECT_TRUE(passes_on(served, old));
    const UniqueFd recent = connect();
    const UniqueFd served_there = accept_from(listeners[other]);
    ASSERT_TRUE(served_there);
    EXPECT_TRUE(passes_on(recent, served_there));
    EXPECT_TRUE(passes_on(served_there, recent));
    EXPECT_TRUE(passes_on(old, served));
    EXPECT_FALSE(readable(listeners[owner].get(), 0));
}

// Rule N7.
TEST_P(Settling, WhoHandsOverServesUntilThen) {
    set_pool(1h);
    hosts[owner]->place.enter();
    plane(owner).withdraw(group(owner), host_now() + 1h);
    client->enter();
    EXPECT_TRUE(answers(address));
    install(owner, owner);
    plane(owner).withdraw(group(owner), host_now());
    client->enter();
    EXPECT_FALSE(answers(address, 200));
}

TEST_P(Settling, NobodyRefusesWhatAnotherMayKnow) {
    EXPECT_EQ(refusals_of_unknown(), 1u);
    set_pool(1h);
    EXPECT_EQ(refusals_of_unknown(), 0u);
    move(owner, owner, other);
    EXPECT_EQ(refusals_of_unknown(), 0u);
    set_pool(-1s);
    EXPECT_EQ(refusals_of_unknown(), 1u);
}

// A port where nobody listens is no matter of other hosts.
TEST_P(Settling, NewConnectionsAreRefusedAsEver) {
    set_pool(1h);
    client->enter();
    EXPECT_TRUE(answers(address));
}

// An error that tells a connection of a smaller MTU finds it, wherever it is.
TEST_P(Settling, ErrorsFindTheConnection) {
    const UniqueFd old = connect();
    const UniqueFd served = accept_from(listeners[owner]);
    ASSERT_TRUE(served);
    set_pool(1h);
    move(owner, owner, other);
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    ASSERT_EQ(getsockname(old.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
    const std::uint16_t port = ntohs(reinterpret_cast<sockaddr_in*>(&name)->sin_port);
    const bool is_ipv4 = GetParam() == Family::ipv4;
    // Host unreachable makes a soft error of an established connection; the counter says that it came in.
    hosts[owner]->place.enter();
    const auto before = plane(owner).traffic_of(group(owner))->packets;
    exchange(
        {ethernet(pool_mac(*pool), kClientMac,
                  icmp_error(from, address, is_ipv4 ? 3 : 1, tcp_packet(address, from, kPort, port, kAck)))});
    EXPECT_EQ(plane(owner).traffic_of(group(owner))->packets, before + 1);
}

// The addresses stay for the connections, also on a host that is MASTER of nothing, and go when that is over.
TEST_P(Settling, AddressesStaySoLong) {
    settle(owner);
    const std::string with = addresses_on_lo(owner);
    EXPECT_THAT(with, HasSubstr("192.0.2.100/32"));
    EXPECT_THAT(with, HasSubstr("2001:db8::100/128"));
    set_pool(1h);
    move(owner, owner, other);
    settle(owner);
    EXPECT_EQ(addresses_on_lo(owner), with);
    set_pool(1h, 3);
    settle(owner);
    EXPECT_EQ(addresses_on_lo(owner), with);
    set_pool(-1s);
    settle(owner);
    settle(other);
    EXPECT_THAT(addresses_on_lo(owner), Not(HasSubstr("100")));
    EXPECT_THAT(addresses_on_lo(other), HasSubstr("192.0.2.100/32"));
    install(owner, owner);
    settle(owner);
    EXPECT_EQ(addresses_on_lo(owner), with);
}

// A host that yields before its addresses stood in their final form keeps what there is.
TEST_P(Settling, AddressesStayThatHadJustCome) {
    set_pool(1h);
    move(owner, owner, other);
    const UniqueFd late = connect();
    ASSERT_TRUE(accept_from(listeners[other]));
    EXPECT_THAT(addresses_on_lo(owner), HasSubstr("192.0.2.100"));
    settle(owner);
    EXPECT_THAT(addresses_on_lo(owner), HasSubstr("192.0.2.100/32"));
    move(owner, other, owner);
    settle(owner);
    settle(other);
    set_pool(-1s);
    settle(other);
    EXPECT_THAT(addresses_on_lo(owner), HasSubstr("192.0.2.100/32"));
    EXPECT_THAT(addresses_on_lo(other), HasSubstr("192.0.2.100/32")) << "of its own carpnode";
}

TEST_P(Settling, ReleaseTakesThemAtOnce) {
    set_pool(1h);
    move(owner, owner, other);
    hosts[owner]->place.enter();
    for (std::size_t i = 0; i < configs.size(); ++i) plane(owner).release(group(i));
    EXPECT_THAT(addresses_on_lo(owner), Not(HasSubstr("100")));
}

INSTANTIATE_TEST_SUITE_P(, Settling, testing::ValuesIn(kFamilies),
                         [](const auto& test) { return test.param == Family::ipv4 ? "ipv4" : "ipv6"; });

}  // namespace
}  // namespace carpd
