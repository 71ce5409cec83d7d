// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a thread tells the scheduler that runs it, if one does: the places at
// which another thread may go on instead. Built with --config=schedule, the
// atomics, locks and waits of this floor call these hooks; without it nothing
// does but tests that name their steps. See docs/scheduling.md.

#ifndef TRICOLOR_BASE_SCHEDULE_HOOKS_H_
#define TRICOLOR_BASE_SCHEDULE_HOOKS_H_

#include <cstdint>

namespace tricolor::schedule {

enum class StepKind : uint8_t {
  kStart,  // the thread begins
  kStep,   // one that a test has named
  kLoad,
  kStore,
  kExchange,
  kCompareExchange,
  kReadModifyWrite,
  kLock,
  kTryLock,
  kUnlock,
  kWait,
  kSignal,
  kYield,
  kSpawn,  // makes a thread
  kJoin,
};

// Called on threads that a scheduler runs, one of them at a time.
class Hooks {
 public:
  static constexpr int64_t kNoLimit = -1;

  // The calling thread is about to do this to the object.
  virtual void Step(StepKind kind, const void* object) = 0;
  // It cannot go on before Wake(object), or for `nanoseconds`, unless that is
  // kNoLimit. False when the time ran out.
  virtual bool Block(const void* object, int64_t nanoseconds) = 0;
  // Those whom Block(object) holds, or the one who has waited longest.
  virtual void Wake(const void* object, bool all) = 0;
  // It waits for what another thread will write.
  virtual void Yield() = 0;
  // Nanoseconds since some time.
  virtual int64_t Now() = 0;

  // A thread that the calling one is about to make; its own calls when it
  // begins, waiting for its turn, and when it ends; and what who joins it calls
  // first.
  virtual int Spawn() = 0;
  virtual void Begin(int thread) = 0;
  virtual void End() = 0;
  virtual void AwaitEnd(int thread) = 0;

 protected:
  ~Hooks() = default;
};

// Of the scheduler that runs the calling thread, or null.
inline constinit thread_local Hooks* hooks = nullptr;

inline void Step(StepKind kind = StepKind::kStep,
                 const void* object = nullptr) {
  if (hooks != nullptr) hooks->Step(kind, object);
}

}  // namespace tricolor::schedule

#endif  // TRICOLOR_BASE_SCHEDULE_HOOKS_H_
