// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Programs of several real threads on one heap, with its concurrent collector:
// each thread works on a few places of its own, raw pointers on its stack or
// Roots, and all on a board of atomic pointers. What threads find is checked
// for being whole; when they have ended, the heap must hold just what is still
// reachable, and every cleanup of the rest must have run. Every step is total.
//
// Test-only. How threads interleave is up to the machine.

#ifndef TRICOLOR_FUZZ_THREAD_PROGRAM_H_
#define TRICOLOR_FUZZ_THREAD_PROGRAM_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tricolor::fuzz {

enum class ThreadOp : uint8_t {
  kNew,        // into place a
  kNewBefore,  // into place a, pointing to what was there
  kStore,      // place b into field c of the object in place a
  kLoad,       // field c of the object in place a, into place b
  kPublish,    // place a on board b
  kTake,       // board b into place a
  kExchange,   // the two for each other
  kReplace,    // place a on board b, if that has the object in place c
  kDrop,       // place a
  kMakeWeak,   // of place a
  kGetWeak,    // into place a
  kAddCleanup,
  kNative,   // a moment in native code
  kGarbage,  // some objects that nobody keeps
  kCollect,
  kVerify,   // what can be reached from place a
  kFiber,    // place a for what the thread's fiber has on its stack
  kCompute,  // two milliseconds without a safepoint
  kStats,    // or all invariants
  kFreeMemory,
};
inline constexpr uint32_t kThreadOps = 20;

struct ThreadStep {
  ThreadOp op = ThreadOp::kVerify;
  uint8_t a = 0;
  uint8_t b = 0;
  uint8_t c = 0;
};
using ThreadSteps = std::vector<ThreadStep>;

// Runs each thread's steps on a thread of its own, `rounds` times. With
// conservative stacks, or with Roots alone.
void RunThreads(bool conservative, int rounds,
                const std::vector<ThreadSteps>& threads);

// The arguments of RunThreads, as C++.
std::string Spell(const std::vector<ThreadSteps>& threads);

}  // namespace tricolor::fuzz

#endif  // TRICOLOR_FUZZ_THREAD_PROGRAM_H_
