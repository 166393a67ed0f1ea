// A library to preload into a program (LD_PRELOAD), which then sees another wall clock: the real one and as
// many seconds as the file CARPD_WALL_CLOCK says at that moment. Stepping the machine's own clock would step
// everybody's.
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

time_t offset() {
    const char* path = std::getenv("CARPD_WALL_CLOCK");
    std::FILE* file = path != nullptr ? std::fopen(path, "re") : nullptr;
    long seconds = 0;
    if (file == nullptr) return 0;
    if (std::fscanf(file, "%ld", &seconds) != 1) seconds = 0;
    std::fclose(file);
    return seconds;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
    const long result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
    return static_cast<int>(result);
}

int gettimeofday(timeval* time, void*) noexcept {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *time = {now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t* time) noexcept {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (time != nullptr) *time = now.tv_sec;
    return now.tv_sec;
}

}  // extern "C"
