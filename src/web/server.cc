#include "web/server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <chrono>

#include "base/addresses.h"
#include "linux/clock.h"
#include "web/openmetrics.h"
#include "web/page.h"

namespace carpd {

namespace {

constexpr std::size_t kThreads = 4;
constexpr std::chrono::seconds kPatience{2};  // with a client
constexpr const char* kText = "text/plain; charset=utf-8";

const httplib::Headers& headers() {
    static const httplib::Headers kHeaders = {
        {"Cache-Control", "no-store"},
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
         "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Referrer-Policy", "no-referrer"},
        {"X-Content-Type-Options", "nosniff"}};
    return kHeaders;
}

// "127.0.0.1:9781", "localhost", "[::1]:9781"
bool is_own_name(std::string_view host) {
    const std::size_t end = host.starts_with('[') ? host.find(']') : host.find(':');
    std::string_view name = host.substr(0, end);
    if (name.starts_with('[')) name.remove_prefix(1);
    const auto address = IpAddress::parse(name);
    return name == "localhost" || (address && address->is_loopback());
}

void answer(httplib::Response& response, int status, const std::string& text) {
    response.status = status;
    response.set_content(text + "\n", kText);
}

void say_health(httplib::Response& response, const Snapshot& snapshot) {
    if (snapshot.error.empty())
        answer(response, 200, "the engine answers");
    else
        answer(response, 503, snapshot.error);
}

void say_readiness(httplib::Response& response, const Snapshot& snapshot) {
    if (!snapshot.error.empty()) return say_health(response, snapshot);
    if (snapshot.in_init.empty()) return answer(response, 200, "all groups are BACKUP or MASTER");
    answer(response, 503,
           fmt::format("{} in INIT:\n{}", snapshot.in_init.size(), fmt::join(snapshot.in_init, "\n")));
}

}  // namespace

// It would listen by itself, but say less of what failed, and take a port that another server has.
class WebServer::Http : public httplib::Server {
 public:
    explicit Http(UniqueFd listener) { svr_sock_ = listener.release(); }
};

WebServer::WebServer(UniqueFd listener, bool by_name, Snapshots& snapshots, const Changes& changes)
    : snapshots_(snapshots), changes_(changes), http_(std::make_unique<Http>(std::move(listener))) {
    http_->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    http_->set_keep_alive_max_count(1);
    http_->set_read_timeout(kPatience);
    http_->set_write_timeout(kPatience);
    http_->set_payload_max_length(0);
    http_->set_default_headers(headers());
    http_->set_pre_routing_handler([by_name](const httplib::Request& request, httplib::Response& response) {
        if (!by_name || is_own_name(request.get_header_value("Host")))
            return httplib::Server::HandlerResponse::Unhandled;
        answer(response, 403, "ask for it as localhost, 127.0.0.1 or [::1]");
        return httplib::Server::HandlerResponse::Handled;
    });
    http_->set_error_handler([](const httplib::Request&, httplib::Response& response) {
        if (response.status == 404 && response.body.empty())
            answer(response, 404, "there are: /, /metrics, /status.json, /healthz, /readyz");
    });
    add_routes();
}

WebServer::~WebServer() = default;

void WebServer::add_routes() {
    for (const PageFile& file : page_files())
        http_->Get(std::string(file.path), [file](const httplib::Request&, httplib::Response& response) {
            response.set_content(file.content.data(), file.content.size(), std::string(file.type));
        });
    http_->Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
        response.set_content(snapshots_.get()->metrics, std::string(OpenMetrics::kContentType));
    });
    http_->Get("/status\\.json", [this](const httplib::Request&, httplib::Response& response) {
        const auto snapshot = snapshots_.get();
        response.set_content(
            fmt::format(R"({{"time":{},"error":{},"status":{},"changes":{}}})", Json(wall_clock()).dump(),
                        snapshot->error.empty() ? "null" : dump(snapshot->error), snapshot->status,
                        changes_.list()),
            "application/json");
    });
    http_->Get("/healthz", [this](const httplib::Request&, httplib::Response& response) {
        say_health(response, *snapshots_.get());
    });
    http_->Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
        say_readiness(response, *snapshots_.get());
    });
}

void WebServer::run() {
    http_->listen_after_bind();
}

void WebServer::stop() {
    http_->stop();
}

}  // namespace carpd
