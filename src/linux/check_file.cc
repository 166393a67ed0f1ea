#include <sys/inotify.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "linux/check.h"

namespace carpd {

namespace {

class FileProbe : public Check {
 public:
    explicit FileProbe(const FileCheck& config)
        : path_(config.path),
          directory_(std::filesystem::path(path_).parent_path()),
          name_(std::filesystem::path(path_).filename()) {}

    std::optional<CheckResult> start(Instant) override {
        watch_directory();  // first, so that no change is missed
        struct stat status;
        if (stat(path_.c_str(), &status) == 0) return CheckResult{true, path_ + " exists"};
        if (errno == ENOENT || errno == ENOTDIR) return CheckResult{false, path_ + " does not exist"};
        return cannot("look for " + path_);
    }

    Watch watch() const override { return {inotify_.get()}; }

    News wake(Instant) override {
        alignas(inotify_event) char buffer[4096];
        const ssize_t size = read(inotify_.get(), buffer, sizeof buffer);
        News news;
        for (ssize_t at = 0; at < size;) {
            const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
            at += static_cast<ssize_t>(sizeof *event + event->len);
            if ((event->mask & (IN_IGNORED | IN_MOVE_SELF)) != 0) watched_ = false;  // another may come
            news.changed |= event->len == 0 || name_ == event->name;
        }
        return news;
    }

 private:
    // Where the kernel can't tell, the check's interval remains.
    void watch_directory() {
        if (watched_) return;
        inotify_ = UniqueFd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
        constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF;
        watched_ = inotify_add_watch(inotify_.get(), directory_.c_str(), kEvents) >= 0;
    }

    const std::string path_, directory_, name_;
    UniqueFd inotify_;
    bool watched_ = false;
};

}  // namespace

std::unique_ptr<Check> make_check(const FileCheck& config) {
    return std::make_unique<FileProbe>(config);
}

}  // namespace carpd
