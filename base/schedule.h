// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs a few threads of real code under chosen schedules: one thread at a time,
// and at each step of it (an atomic operation, a lock, a wait) a strategy says
// who goes on. A run depends on nothing but these choices, so that a failing
// one is repeated from its seed or its schedule, and made smaller. Threads see
// sequentially consistent memory. docs/scheduling.md has the whole.
//
// All schedules with few preemptions: CHESS (Musuvathi and Qadeer 2007). Random
// priorities with a few changes: PCT (Burckhardt et al. 2010).
//
// For tests. Each call runs its schedules in a child process, whose death is a
// failure like any other; the caller has no other thread.

#ifndef TRICOLOR_BASE_SCHEDULE_H_
#define TRICOLOR_BASE_SCHEDULE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tricolor::schedule {

// At most this many threads, those that others make included.
inline constexpr int kMaxThreads = 32;
// A schedule with more steps is a failure: nobody gets on.
inline constexpr uint64_t kMaxSteps = 1'000'000;

// Of Witness.
inline constexpr int kWitnesses = 8;

// What one schedule runs on: made anew for each, and outside of it.
class Scenario {
 public:
  virtual ~Scenario() = default;
  virtual int threads() const = 0;
  // On thread `t`.
  virtual void Run(int t) = 0;
  // After all threads: empty, or what is wrong. A failed TRICOLOR_CHECK, here
  // or in Run, is a failure too; one of GoogleTest's is not seen.
  virtual std::string Check() = 0;
};

using Factory = std::function<std::unique_ptr<Scenario>()>;

// Which thread ran each step.
using Schedule = std::vector<uint8_t>;

struct Result {
  uint64_t schedules = 0;  // that were run
  uint64_t steps = 0;      // of the longest
  std::string failure;     // empty: every schedule was good
  Schedule schedule;       // the failing one
  int preemptions = 0;     // in it
  std::string trace;       // its steps, if asked for
  // How often each has been called.
  std::array<uint64_t, kWitnesses> witnessed = {};

  bool ok() const { return failure.empty(); }
  std::string Describe() const;
};

// Every schedule that takes the processor from a thread that could go on at
// most `preemptions` times. Each ends at the first failure.
Result Explore(const Factory& factory, int preemptions);
// A random choice at each step.
Result RandomWalk(const Factory& factory, uint64_t seed, uint64_t schedules);
// Finds a bug that takes `depth` steps in a certain order with a probability of
// at least 1 / (threads * steps^(depth - 1)) a schedule.
Result Pct(const Factory& factory, uint64_t seed, uint64_t schedules,
           int depth);

// The same schedule again, with a trace. A failure of its own when the scenario
// does not have the threads and steps that it had.
Result Replay(const Factory& factory, const Schedule& schedule);
// A schedule that fails as well: with fewer preemptions, then with fewer steps.
// Traced. `failing` itself when nothing smaller is found.
Result Shrink(const Factory& factory, const Result& failing);

// `schedules`, or what the environment variable TRICOLOR_SCHEDULES says; and
// `preemptions` plus what TRICOLOR_MORE_PREEMPTIONS says.
uint64_t ScaledSchedules(uint64_t schedules);
int ScaledPreemptions(int preemptions);

// By a scenario: something has happened that some schedule must make happen.
void Witness(int which);

// The running thread waits for what another one will write: for tests that name
// their steps. Nothing on threads that no scheduler runs.
void Wait();

}  // namespace tricolor::schedule

#endif  // TRICOLOR_BASE_SCHEDULE_H_
