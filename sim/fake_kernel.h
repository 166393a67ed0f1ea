// The part of a kernel that answers for addresses: which groups are installed, and until when each may answer
// by the host's clock. It outlives the process, not the power.
#pragma once

#include <vector>

#include "base/time.h"

namespace carpd::sim {

class FakeKernel {
 public:
    explicit FakeKernel(int groups) : lease_(static_cast<std::size_t>(groups), Instant::min()) {}

    void install(int group, Instant until) { lease_[static_cast<std::size_t>(group)] = until; }
    void renew(int group, Instant until) {
        if (installed(group)) install(group, until);
    }
    void withdraw(int group) { install(group, Instant::min()); }
    void withdraw_all() { lease_.assign(lease_.size(), Instant::min()); }

    bool installed(int group) const { return lease_until(group) != Instant::min(); }
    Instant lease_until(int group) const { return lease_[static_cast<std::size_t>(group)]; }
    bool answers(int group, Instant now) const { return now < lease_until(group); }

 private:
    std::vector<Instant> lease_;
};

}  // namespace carpd::sim
