// When a process that died is started again.
#pragma once

#include "base/time.h"

namespace carpd {

// How long to wait before: not at all the first time, then 100 ms, doubled with each death up to 10 s; from
// the beginning when one has lived for a minute.
class Backoff {
 public:
    Duration after(Duration lived);

 private:
    Duration next_{0};
};

}  // namespace carpd
