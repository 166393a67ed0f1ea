// The helper of `carpd ucarp`: the process that runs ucarp's scripts in the place of hooks (carpd/helper.h),
// so that none of them is in the way of an advertisement. The supervisor keeps it (carpd/keeper.h).
//
//   engine -> news of the group, for ucarp_scripts.h
//   nobody has the engine's end of the socket -> run what is still to be run, and end
//
// The signals that people send to all that is called ucarp are for the supervisor; it ignores them.
// Scripts have the environment that ucarp was started with, as ifupdown's want it.
#pragma once

#include "carpd/ucarp_scripts.h"
#include "linux/message_socket.h"
#include "linux/script.h"

namespace carpd {

class UcarpHelper {
 public:
    // What a script may take; it counts from the start of one that is running when the helper is told to end.
    static constexpr Duration kMostForScript = std::chrono::minutes(10);
    static constexpr Duration kMostToEnd = std::chrono::minutes(1);
    static constexpr Duration kMostToFinish = kMostToEnd + ScriptRunner::kGrace + std::chrono::seconds(1);

    static Expected<UcarpHelper, SysError> open(const Config& config, MessageSocket engine);

    void run();

 private:
    UcarpHelper(const Config& config, MessageSocket engine, ScriptRunner runner)
        : engine_(std::move(engine)), runner_(std::move(runner)), scripts_(config) {}

    void wait() const;
    void hear_engine();
    void run_scripts();
    void begin_to_end();

    MessageSocket engine_;
    ScriptRunner runner_;
    UcarpScripts scripts_;
    std::string running_;  // the script
    Instant now_;
    Instant stop_at_ = kNever;  // what runs then is ended, and nothing else run
    bool is_ending_ = false, is_over_ = false;
};

}  // namespace carpd
