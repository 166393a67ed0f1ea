// A Unix stream socket that takes and sends lines of text, for the control socket. It knows nothing of what
// they say.
//
// Made for a real-time thread: nothing here blocks, and a client costs a bounded amount of memory and of work
// per wake() whatever it does. One that sends half a line, never reads, or comes in crowds takes nothing from
// the others:
//   - at most kMaxClients: for one more, the idlest is dropped (a subscriber only if there are but
//   subscribers);
//   - at most kMaxLine bytes in a line, else the client gets `too_long` and is closed;
//   - at most kMaxLinesPerWake lines of a client per wake(), and none while it hasn't read its replies;
//   - a client that lets more than kMaxUnsent bytes wait is closed.
//
// The engine polls fd() together with everything else and calls wake() when it is readable. Who may connect
// is decided by the file's owner and mode alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

class LineServer {
 public:
    using ClientId = std::uint64_t;  // never used twice
    using OnLine = std::function<void(ClientId, std::string_view line)>;

    static constexpr std::size_t kMaxClients = 64;
    static constexpr std::size_t kMaxLine = 4096;
    static constexpr int kMaxLinesPerWake = 16;
    static constexpr std::size_t kMaxUnsent = 4 << 20;

    // Listens at `path`, as listen_unix() does (linux/unix_socket.h).
    static Expected<LineServer, SysError> open(const std::string& path, mode_t mode, std::string too_long);

    // Goes on with the socket at which another process of this program has listened, at `path`, and does so
    // until it calls leave_file() and ends. Clients that connect meanwhile are served by whichever wakes. The
    // socket file is that one's until own_file().
    static Expected<LineServer, SysError> inherit(UniqueFd listener, const std::string& path,
                                                  std::string too_long);
    int listener() const { return listener_.get(); }

    LineServer(LineServer&&) noexcept = default;
    LineServer& operator=(LineServer&&) = delete;
    // Removes the socket file, unless somebody else's stands there by now or leave_file() was called.
    ~LineServer();
    void leave_file() { inode_ = 0; }
    void own_file();

    // Lets the group `gid` connect, too; who has the user `uid` is a reader from now on, and for the one that
    // asks to decide what a reader may.
    std::optional<SysError> admit_readers(uid_t uid, gid_t gid);
    bool is_reader(ClientId client) const;

    int fd() const { return epoll_.get(); }

    // Accepts, reads and writes what is there. `on_line` gets each line without its newline; it may call
    // anything below.
    void wake(const OnLine& on_line);

    // `line` and a newline. To a client that is gone: nothing.
    void send(ClientId client, std::string_view line);
    // The beginning of a line, or more of it. Until send() ends it no line is taken from the client.
    void send_part(ClientId client, std::string_view part);
    // What the client has not read yet, in bytes; 0 if it is gone.
    std::size_t unsent(ClientId client) const;
    // No more lines are taken from it; it is closed when it has got what was sent.
    void close_after_flush(ClientId client);
    // It will be sent lines for as long as it stays: it counts as busy even when it says nothing.
    void subscribe(ClientId client);
    bool is_open(ClientId client) const { return clients_.contains(client); }
    std::size_t client_count() const { return clients_.size(); }

 private:
    struct Client {
        UniqueFd fd;
        std::uint64_t last_active = 0;  // in activities of the server, not in time
        std::string half_line;
        std::string unsent;
        std::size_t unsent_from = 0;  // what stands before it has been sent
        std::uint32_t polled = 0;     // events that epoll watches for
        bool subscriber = false;
        bool reader = false;
        bool in_line = false;  // what it was sent last is a part of a line
        bool deaf = false;     // takes no more lines
        bool closing = false;  // close when everything is sent

        std::size_t unsent_size() const { return unsent.size() - unsent_from; }
    };

    LineServer(std::string path, UniqueFd listener, UniqueFd epoll, std::string too_long);

    void accept_clients();
    void drop_idlest();
    void read_from(ClientId id, const OnLine& on_line);
    std::size_t take_lines(ClientId id, std::string_view bytes, const OnLine& on_line);
    void flush(ClientId id);
    void settle(ClientId id);
    void append(ClientId id, std::string_view text, bool ends_line);
    void drop(ClientId id);
    Client* find(ClientId id);

    std::string path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    UniqueFd listener_, epoll_;
    std::string too_long_;
    std::optional<uid_t> readers_;
    std::map<ClientId, Client> clients_;
    ClientId next_id_ = 1;  // 0 is the listener
    std::uint64_t activities_ = 0;
};

}  // namespace carpd
