#include "bench/usage.h"

#include <time.h>

#include <cstring>
#include <fstream>
#include <string>

#include "lab/error.h"

namespace carpd::bench {

double cpu_seconds(const std::vector<pid_t>& processes) {
    double sum = 0;
    for (const pid_t process : processes) {
        clockid_t clock{};
        timespec t{};
        if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &t) != 0)
            lab::fail("process {} is gone", process);
        sum += static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
    }
    return sum;
}

double pss_kib(const std::vector<pid_t>& processes) {
    double sum = 0;
    for (const pid_t process : processes) {
        std::ifstream file("/proc/" + std::to_string(process) + "/smaps_rollup");
        std::string word;
        while (file >> word && word != "Pss:") continue;
        double pss = 0;
        if (!(file >> pss)) lab::fail("process {} does not say how much memory it has", process);
        sum += pss;
    }
    return sum;
}

}  // namespace carpd::bench
