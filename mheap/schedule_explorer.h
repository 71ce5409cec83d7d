// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs a few threads under every schedule of a bounded number of preemptions,
// or under random ones: a small model checker for real code. The code calls
// Step where another thread may run; only one thread runs at a time, so that a
// run depends on nothing but the choices made at the steps. It explores
// sequentially consistent executions; weaker orders are ThreadSanitizer's part.
//
// The way of going through the schedules is that of stateless model checking
// with a preemption bound (CHESS, Musuvathi and Qadeer 2007). For tests.

#ifndef TRICOLOR_MHEAP_SCHEDULE_EXPLORER_H_
#define TRICOLOR_MHEAP_SCHEDULE_EXPLORER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

namespace tricolor::mheap {

// What one schedule runs on: made anew for each.
class Scenario {
 public:
  virtual ~Scenario() = default;
  virtual int threads() const = 0;
  // On thread `t`. Must not block but by calling ScheduleExplorer::Wait.
  virtual void Run(int t) = 0;
  // After all threads: empty, or what is wrong.
  virtual std::string Check() = 0;
};

class ScheduleExplorer {
 public:
  using Factory = std::function<std::unique_ptr<Scenario>()>;

  struct Result {
    uint64_t schedules = 0;
    std::string failure;        // empty: every schedule was good
    std::vector<int> schedule;  // of the failure: which thread ran each step
    std::string Describe() const;
  };

  // Every schedule that takes the processor from a thread that could go on at
  // most `preemptions` times. Ends at the first failure.
  static Result Explore(const Factory& factory, int preemptions);
  // `runs` schedules with a random choice at each step.
  static Result Sample(const Factory& factory, uint64_t seed, uint64_t runs);

  // Called by the code under test, on any thread; does nothing on a thread
  // that no explorer runs.
  static void Step();
  // The calling thread cannot go on before another one has made a step.
  static void Wait();
  // Whether to wait would be in vain: all threads wait, or no explorer runs
  // this one. What waits must then give up.
  static bool Stuck();

 private:
  struct Choice {
    int options;
    int chosen;
  };

  ScheduleExplorer(const Factory& factory, int preemptions,
                   std::mt19937_64* random)
      : factory_(factory), preemptions_(preemptions), random_(random) {}

  // One schedule; false when it failed.
  bool RunOnce(Result& result);
  // Turns the choices into those of the next schedule; false after the last.
  bool Next();
  void ThreadMain(int t);
  // By the thread that runs, or -1 at the beginning: who runs next, or -1.
  int PickNext(int current);
  int Choose(int options);
  void Yield(int t);

  const Factory& factory_;
  const int preemptions_;
  std::mt19937_64* const random_;

  // The choices to be made, and how many have been; of the running schedule.
  std::vector<Choice> choices_;
  size_t position_ = 0;
  int used_preemptions_ = 0;
  bool stuck_ = false;
  std::vector<int> schedule_;

  struct Thread {
    bool finished = false;
    bool waiting = false;
    std::binary_semaphore turn{0};
    std::thread thread;
  };
  std::unique_ptr<Scenario> scenario_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::binary_semaphore done_{0};
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SCHEDULE_EXPLORER_H_
