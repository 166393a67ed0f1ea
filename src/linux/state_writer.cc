#include "linux/state_writer.h"

#include <sched.h>

#include <atomic>
#include <system_error>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "linux/process.h"
#include "linux/state_file.h"

namespace carpd {

struct StateWriter::Shared {
    std::string path, text;
    Expected<bool, SysError> outcome = true;
    std::atomic<bool> is_done = false;  // nobody waits for the thread itself, which may be kept from its end

    void end(Expected<bool, SysError> what) {
        outcome = std::move(what);
        is_done = true;
        is_done.notify_one();
    }
};

void StateWriter::begin(std::string path, std::string text) {
    CARPD_ASSERT(!is_writing());
    shared_ = std::make_shared<Shared>();
    shared_->path = std::move(path);
    shared_->text = std::move(text);
    try {
        std::thread([shared = shared_] {
            set_process_name("carpd: files");
            const sched_param none{};
            sched_setscheduler(0, SCHED_OTHER, &none);
            shared->end(write_state(shared->path, shared->text));
        }).detach();
    } catch (const std::system_error& error) {  // too many processes
        shared_->end(Unexpected{SysError{"write", shared_->path, error.code().value()}});
    }
}

std::optional<Expected<bool, SysError>> StateWriter::result() {
    CARPD_ASSERT(is_writing());
    if (!shared_->is_done) return std::nullopt;
    return std::exchange(shared_, nullptr)->outcome;
}

Expected<bool, SysError> StateWriter::wait() {
    CARPD_ASSERT(is_writing());
    shared_->is_done.wait(false);
    return std::exchange(shared_, nullptr)->outcome;
}

}  // namespace carpd
