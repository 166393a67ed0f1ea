// FTP (RFC 959, RFC 2428) as far as a firewall takes notice: the control connection tells the address of a
// data connection, which the firewall must read, translate and expect. Enough of a server and a client to
// have files sent, in either direction of opening; the files are a Pattern of any length.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "lab/lab.h"
#include "lab/loop.h"
#include "lab/traffic_server.h"
#include "linux/socket_address.h"

namespace carpd::lab {

class FtpServer {
 public:
    // Serves USER, PASS, PORT, EPRT, PASV, EPSV, RETR (the file's name is its length) and QUIT, on port 21.
    explicit FtpServer(Host& host);

 private:
    struct Client {
        UniqueFd control;
        std::string unread{};  // the beginning of a line
        UniqueFd passive{};    // listens
        UniqueFd data{};
        std::uint64_t left = 0;  // to be sent
        Pattern pattern{};
        std::optional<std::uint64_t> active{};  // IPv4 address << 16 | port, as the client told it
    };

    void accept_client();
    void hear(Client& client);
    void obey(Client& client, const std::string& line);
    void listen_for_data(Client& client, bool extended);
    void retrieve(Client& client, std::uint64_t size);
    void accept_data(Client& client);
    void send_data(Client& client);
    void say(const Client& client, const std::string& line) const;

    UniqueFd control_;
    std::map<int, Client> clients_;
    Loop loop_;
};

class FtpClient {
 public:
    // Connects and logs in. All of its functions wait for the server, and throw after some seconds.
    FtpClient(Host& client, const std::string& server);

    // How the data connection is opened: by the server, to where PORT or EPRT say, or by the client, to where
    // the answers to PASV or EPSV say.
    enum class Mode { port, eprt, pasv, epsv };
    // Says PORT or EPRT, or asks PASV or EPSV: a data connection is to be expected from now on.
    void prepare(Mode mode);
    // Has a file of `size` bytes sent through it, and returns when its first byte is here. Of a file of
    // megabytes the rest waits at the server until finish() reads it.
    void open(std::uint64_t size);
    void begin(Mode mode, std::uint64_t size) { return prepare(mode), open(size); }
    // Whether all the rest came and was right.
    bool finish();
    bool retrieve(Mode mode, std::uint64_t size) { return begin(mode, size), finish(); }

 private:
    std::string ask(const std::string& command, const char* expected);
    std::string answer(const char* expected);
    UniqueFd connect_to(const SocketAddress& there) const;

    Host& host_;
    std::string server_;
    UniqueFd control_, data_;
    UniqueFd listener_;                   // after PORT and EPRT
    std::optional<SocketAddress> there_;  // after PASV and EPSV
    std::string unread_;
    std::uint64_t left_ = 0;
    Pattern pattern_;
};

}  // namespace carpd::lab
