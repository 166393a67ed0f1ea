#include "bench/pool_failures.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "lab/capture.h"
#include "lab/error.h"
#include "lab/questions.h"
#include "lab/server_pool.h"
#include "lab/sessions.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;
using lab::Clock;
using lab::Question;
using lab::QuestionKind;
using lab::Questions;
using lab::Request;
using lab::Tally;
using lab::Time;

constexpr int kClients = 500;
constexpr int kFated = 1;             // the server that suffers; the one after it takes over
constexpr lab::Span kKnown = 1200ms;  // in which every client asks by every way, and more
constexpr lab::Span kAfter = 2500ms;  // what TCP asks again is answered by then

// The pool at work: every client knows who serves it.
struct Site {
    explicit Site(const std::string& hash)
        : pool(lab, {.hash = hash, .home_skew = 1, .next_skew = 2, .step = 1}),
          crowd(lab, kClients, lab::Crowd::Place::beyond_router) {
        pool.start();
        for (const char* address : {lab::kPool4, lab::kPool6}) {
            by_udp.emplace_back(crowd, address, QuestionKind::udp, 200ms);
            by_tcp.emplace_back(crowd, address, QuestionKind::tcp, 1s);
        }
        const Time from = Clock::now();
        std::this_thread::sleep_for(kKnown);
        for (const Questions* stream : streams()) is_stable &= stream->wait_answered(from, from + kKnown, 5s);
        changed_before = transitions();
    }
    lab::PoolServer& fated() { return pool.server(kFated); }
    // How often a carpnode changed to whose server nothing happens.
    std::uint64_t transitions() {
        std::uint64_t sum = 0;
        for (const int other : {kFated - 1, kFated + 1})
            for (const int vhid : {kFated, kFated + 2})  // at home with those two
                sum += pool.server(other).carpd().transitions(lab::PoolServer::carpnode_name(vhid));
        return sum;
    }
    bool was_quiet() { return is_stable && transitions() == changed_before; }
    std::vector<const Questions*> streams() const { return {&by_udp[0], &by_udp[1], &by_tcp[0], &by_tcp[1]}; }

    lab::Lab lab;
    lab::ServerPool pool;
    lab::Crowd crowd;
    std::deque<Questions> by_udp, by_tcp;
    bool is_stable = true;
    std::uint64_t changed_before = 0;
};

// When the host began to advertise this carpnode.
std::optional<Time> first_advertisement(lab::Capture& capture, std::uint8_t vhid, Time from) {
    for (const lab::CapturedFrame& frame : capture.frames())
        if (frame.sent && frame.time > from && frame.is_ipv4(kCarpProtocol) && frame.payload().size() > 21 &&
            frame.payload()[21] == vhid)
            return frame.time;
    return {};
}

// The clients of one stream that this server serves.
std::vector<bool> clients_of(const Questions& stream, const lab::PoolServer& server, Time until) {
    std::vector<bool> result;
    for (const Tally& client : tally(stream.asked(until - kKnown, until), kClients))
        result.push_back(client.by == server.host().number());
    return result;
}

bool is_lost(const Question& question) {
    return question.request.by == Request::kNobody;
}

void judge_others(const Questions& stream, const std::vector<bool>& is_his, Time killed, Time end,
                  PoolKill& result) {
    const std::vector<Tally> all = tally(stream.asked(killed - kKnown, end), kClients);
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (is_his[i]) continue;
        ++result.clients;
        result.asked += all[i].asked;
        result.lost += all[i].lost;
        result.moved += all[i].moves > 0;
    }
}

double ms_until_last_lost(const Questions& stream, const std::vector<bool>& is_his, Time killed, Time end) {
    double result = 0;
    for (const Question& question : stream.asked(killed, end))
        if (is_his[static_cast<std::size_t>(question.client)] && is_lost(question))
            result = lab::to_ms(question.request.sent - killed);
    return result;
}

}  // namespace

std::optional<PoolKill> kill_one(const std::string& hash) {
    Site site(hash);
    lab::Capture capture(site.pool.server(kFated + 1).host());
    const Time killed = Clock::now();
    site.fated().power_off();
    std::optional<Time> taken;
    const auto is_taken = [&] {
        taken = first_advertisement(capture, kFated + 1, killed);
        return taken.has_value();
    };
    if (!lab::wait_until(is_taken, 5s)) lab::fail("nobody takes over:\n{}", site.pool.logs());
    std::this_thread::sleep_until(killed + kAfter);
    if (!site.was_quiet()) return {};
    const Time end = killed + kAfter - 1s;

    PoolKill result{.takeover_ms = lab::to_ms(*taken - killed)};
    for (const Questions* stream : site.streams())
        judge_others(*stream, clients_of(*stream, site.fated(), killed), killed, end, result);
    for (const Questions& stream : site.by_udp)
        result.outage_ms =
            std::max(result.outage_ms,
                     ms_until_last_lost(stream, clients_of(stream, site.fated(), killed), killed, end));
    return result;
}

std::optional<PoolDrain> drain_one(const std::string& hash) {
    Site site(hash);
    lab::Sessions sessions(site.crowd, lab::kPool4, 1s);
    const Time drained = Clock::now();
    site.fated().demote(100);
    std::this_thread::sleep_until(drained + kAfter);
    if (!site.was_quiet()) return {};
    const Time end = drained + kAfter - 1s;

    PoolDrain result{.sessions = sessions.count()};
    for (const Questions* stream : site.streams())
        for (const Question& question : stream->asked(drained - kKnown, end)) {
            ++result.asked;
            result.lost += is_lost(question);
            if (question.request.by == site.fated().host().number())
                result.drained_ms = std::max(result.drained_ms, lab::to_ms(question.request.sent - drained));
        }
    result.ended = sessions.count() - sessions.survivors(5s);
    return result;
}

}  // namespace carpd::bench
