#include <cerrno>
#include <utility>

#include "linux/check.h"
#include "linux/log.h"
#include "linux/script.h"

namespace carpd {

namespace {

class ScriptProbe : public Check {
 public:
    ScriptProbe(const ScriptCheck& config, const std::string& name, Duration timeout)
        : script_{
              config.argv,
              {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "CARPD_TRACK=" + name},
              timeout} {}

    // The tracker has long given up one that must be killed; until that is done, it doesn't get company.
    std::optional<CheckResult> start(Instant now) override {
        if (!runner_) {
            auto runner = ScriptRunner::open();
            if (!runner) return CheckResult{false, runner.error().to_string()};
            runner_ = std::make_unique<ScriptRunner>(std::move(*runner));
        }
        if (runner_->running() > 0)
            return CheckResult{false, script_.argv[0] + " has not ended since it was told to"};
        awaited_ = runner_->start(script_, now);
        return std::nullopt;
    }

    Watch watch() const override { return {runner_ ? runner_->fd() : -1}; }
    Instant next_deadline() const override { return runner_ ? runner_->next_deadline() : kNever; }

    News wake(Instant now) override {
        News news;
        runner_->wake(now, [&](ScriptRunner::RunId run, const ScriptEnd& end) {
            if (run == awaited_)
                news.result = {end.succeeded(), script_.argv[0] + " " + printable(end.to_string())};
        });
        return news;
    }

    void cancel() override { awaited_ = 0; }

 private:
    const Script script_;
    std::unique_ptr<ScriptRunner> runner_;
    ScriptRunner::RunId awaited_ = 0;
};

}  // namespace

std::unique_ptr<Check> make_check(const ScriptCheck& config, const std::string& name, Duration timeout) {
    return std::make_unique<ScriptProbe>(config, name, timeout);
}

}  // namespace carpd
