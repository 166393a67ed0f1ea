// What an engine and the one that is about to take over from it say to each other, by a pair of sockets of
// the supervisor's (docs/upgrade.md). Messages are words:
//
//   successor -> engine    hello FORMAT                      of the document that its configuration needs
//   engine -> successor    serve gate PATH | serve macvlan PATH
//                                                            with the control socket's listener, at that path
//   successor -> engine    ready                             all is prepared that can be
//   engine -> successor    state                             with the document; it does nothing from now on
//   successor -> engine    understood
//   engine -> successor    go                                and it ends
//
// Instead of any, `refused WHY`: then the engine goes on, and the successor ends. The supervisor says that in
// the name of a successor that can't.
#pragma once

#include <string>

#include "control/hand_over.h"

namespace carpd::succession {

inline std::string hello(int format) {
    return "hello " + std::to_string(format);
}
inline const std::string kServeGate = "serve gate ", kServeMacvlan = "serve macvlan ";
inline const std::string kReady = "ready", kState = "state", kUnderstood = "understood", kGo = "go";
inline const std::string kRefused = "refused ";

}  // namespace carpd::succession
