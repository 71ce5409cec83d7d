// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs the threads of a scenario, one at a time, as a strategy says, and writes
// down what they do. For schedule.cc, which see.
//
// Its data is that of the thread whose turn it is; turns are handed on by
// futexes.

#ifndef TRICOLOR_BASE_SCHEDULE_RUNNER_H_
#define TRICOLOR_BASE_SCHEDULE_RUNNER_H_

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_hooks.h"
#include "tricolor/base/schedule_strategy.h"

namespace tricolor::schedule {

// One step as it is reported.
struct TracedStep {
  static constexpr int kPlaces = 6;

  StepKind kind;
  uint32_t object;  // numbered by first use; 0: none
  void* places[kPlaces];
};

// Whether others may find something changed after it.
constexpr bool Writes(StepKind kind) {
  return kind != StepKind::kLoad && kind != StepKind::kYield;
}

// What the process that runs schedules leaves behind, however it ends.
struct Report {
  static constexpr size_t kTraced = 20000;

  uint64_t schedules;
  uint64_t longest;  // steps of a schedule
  bool complete;     // the process has ended by itself
  char failure[1200];
  std::array<uint64_t, kWitnesses> witnessed;
  // Of the schedule that runs.
  uint64_t steps;
  int preemptions;
  uint8_t schedule[kMaxSteps];
  bool traced;
  TracedStep trace[kTraced];
};

// Which threads have used an object, in any schedule of the process so far.
// What only one thread uses, or none writes, matters to no other: a thread need
// not be preempted before such a step, for it could as well be after it.
class Conflicts {
 public:
  Conflicts() : entries_(kEntries) {}
  // Notes a step; whether it could matter to other threads.
  bool Note(StepKind kind, const void* object, int thread);
  // Whether what could matter has become more since the last call.
  bool TakeGrown() { return std::exchange(grown_, false); }

 private:
  static constexpr size_t kEntries = size_t{1} << 16;
  struct Entry {
    const void* object = nullptr;
    uint32_t users = 0;  // a bit a thread
    bool written = false;
    bool conflicts() const { return written && (users & (users - 1)) != 0; }
  };
  std::vector<Entry> entries_;
  size_t used_ = 0;
  bool grown_ = false;
};

// A binary semaphore that nothing is scheduled by.
class Turn {
 public:
  void Give();
  void Await();

 private:
  std::atomic<uint32_t> given_{0};
};

class Runner final : public Hooks {
 public:
  explicit Runner(Report& report) : report_(report) {}

  // One schedule. Does not return when it fails.
  void RunOnce(const Factory& factory, Strategy& strategy);

  void Step(StepKind kind, const void* object) override;
  bool Block(const void* object, int64_t nanoseconds) override;
  void Wake(const void* object, bool all) override;
  void Yield() override;
  int64_t Now() override { return now_; }
  int Spawn() override;
  void Begin(int thread) override;
  void End() override;
  void AwaitEnd(int thread) override;

  // Ends the process.
  [[noreturn]] void Fail(const char* what);

 private:
  enum class State : uint8_t {
    kNone,
    kReady,
    kYielding,  // until another thread writes
    kBlocked,
    kEnded,
  };
  struct Thread {
    State state = State::kNone;
    const void* object = nullptr;  // that it is blocked on
    uint64_t since = 0;            // the step
    int64_t deadline = kNoLimit;
    bool in_time = true;
    bool pooled = false;
    Turn turn;
    pthread_t pthread = {};
    Runner* runner = nullptr;
  };

  static void* PoolMain(void* thread);
  int IndexOf(const Thread& thread) const {
    return static_cast<int>(&thread - threads_);
  }
  Thread& current() { return threads_[current_]; }
  // Who runs next, which may be the caller; hands it the turn.
  void Pass(bool has_yielded);
  void Run(int next);
  void AddOptions(ChoicePoint& point) const;
  void LetYieldingGoOn();
  void NoteWritten();
  void Note(StepKind kind, const void* object);
  [[noreturn]] void FailStuck(const char* what);

  Report& report_;
  Strategy* strategy_ = nullptr;
  Scenario* scenario_ = nullptr;
  Thread threads_[kMaxThreads];
  int count_ = 0;
  int current_ = -1;
  int64_t now_ = 0;
  // Times that all waited for others, with nothing written meanwhile.
  int idle_rounds_ = 0;
  std::map<const void*, uint32_t> objects_;
  Conflicts conflicts_;
  Turn done_;
};

}  // namespace tricolor::schedule

#endif  // TRICOLOR_BASE_SCHEDULE_RUNNER_H_
