// What a crowd asks a service, all the time, and who answers whom.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "lab/crowd.h"
#include "lab/loop.h"
#include "lab/probe.h"
#include "linux/socket_address.h"

namespace carpd::lab {

enum class QuestionKind {
    udp,   // of the Responder
    tcp,   // of the WebServer: a connection for each
    ping,  // of the kernel, whose TTL tells which host it is (Questions::mark)
};

struct Question {
    int client;
    Request request;
    bool failed = false;  // a connection that was refused, reset or given up
};

class Questions {
 public:
    // Each client asks every `period`, one after the other, each TCP client when its last connection is over.
    Questions(Crowd& crowd, const std::string& service, QuestionKind kind, Span period);

    // Lets a host's pings be known as its own. After its interfaces were made.
    static void mark(Host& server);

    const IpAddress& service() const { return service_; }
    QuestionKind kind() const { return kind_; }
    // Those of [from, until), in order, by now.
    std::vector<Question> asked(Time from, Time until = Time::max()) const;
    // Waits until each client has asked since then; returns whether all have.
    bool wait_asked(Time from, Span patience) const;
    // Waits until each question of [from, until) has its answer; returns whether they have.
    bool wait_answered(Time from, Time until, Span patience) const;

 private:
    // A client's socket: for all of its questions, or for its last one by TCP.
    struct Client {
        UniqueFd socket;
        std::size_t number = 0;  // of its last question
    };

    void open_all();
    void ask_next();
    void connect_one(Client& client, int number);
    void say(Client& client);
    void hear(Client& client);
    void hear_by_tcp(Client& client, Bytes answer);
    void note(std::uint64_t number, std::uint8_t by);
    void end(Client& client, bool failed);

    const IpAddress service_;
    const QuestionKind kind_;
    const Crowd& crowd_;
    std::vector<Client> clients_;
    int next_ = 0;  // who asks
    std::deque<Question> questions_;
    Loop loop_;
};

// One client's part of what was asked.
struct Tally {
    int asked = 0, lost = 0;
    std::uint8_t by = Request::kNobody;  // who answered last
    int moves = 0;                       // from one host to another
    bool twice = false;                  // two hosts answered one question
    Span longest_silence{0};             // between two answers
};

// By client.
std::vector<Tally> tally(const std::vector<Question>& questions, int clients);

// Of all clients: how many were answered last by each of the first `hosts` hosts.
std::vector<int> served(const std::vector<Tally>& tallies, int hosts);

// The requests of some clients, as one stream.
template <class Predicate>
std::vector<Request> requests_of(const std::vector<Question>& questions, Predicate is_one) {
    std::vector<Request> result;
    for (const Question& question : questions)
        if (is_one(question.client)) result.push_back(question.request);
    return result;
}

}  // namespace carpd::lab
