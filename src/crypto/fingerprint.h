// Few digits by which two hosts see that they have the same, without showing it.
#pragma once

#include <string>

#include "base/bytes.h"

namespace carpd {

// Of a key: the first four hexadecimal digits of a SHA-256 of it, the same wherever the key is the same. One
// key in 65536 has the same four, which is what keeps them from telling the key: who tries passwords can
// exclude most with it, and be certain of none, however often it is shown. An advertisement that is
// overheard tells more.
std::string key_fingerprint(Bytes key);

// Of what may be known, such as addresses: the first eight hexadecimal digits.
std::string fingerprint(Bytes bytes);

}  // namespace carpd
