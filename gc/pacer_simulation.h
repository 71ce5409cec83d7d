// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PacerSimulation: a program, its machine and a collector in which everything
// is simulated but GcPacer, AssistCredit and CpuLimiter, which decide. A thread
// for each processor takes spans of 8 KiB, at the program's rate of allocation,
// and assists when it is in debt; background workers mark at the rate of
// scanning; time goes in steps. Deterministic.
//
// Go counterpart: the simulator in mgcpacer_test.go, which has a formula in the
// place of threads and debts. Test-only, thread-compatible.

#ifndef TRICOLOR_GC_PACER_SIMULATION_H_
#define TRICOLOR_GC_PACER_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "tricolor/gc/cpu_limiter.h"
#include "tricolor/gc/gc_pacer.h"

namespace tricolor::gc {

// What one cycle is like, from its number on.
using Stream = std::function<double(int cycle)>;

inline Stream Always(double value) {
  return [value](int) { return value; };
}
// `before` until the cycle `at`, then `after`.
inline Stream Step(double before, double after, int at) {
  return [=](int cycle) { return cycle < at ? before : after; };
}

struct SimulatedProgram {
  int processors = 8;
  Stream alloc_rate = Always(33);   // KiB in a ms of one processor's time
  Stream scan_rate = Always(1024);  // the same
  // What is live at the end of a cycle, by that at the end of the one before.
  Stream growth = Always(1);
  Stream scannable = Always(1);  // share of live bytes with pointers
  Stream stacks = Always(8 << 10);
  uint64_t globals = 32 << 10;
  uint64_t live = 64 << 20;  // at the beginning
  uint64_t overhead = 0;     // under the memory limit
};

struct SimulatedCycle {
  uint64_t marked_before = 0;
  uint64_t trigger = 0;
  uint64_t goal = 0;
  uint64_t peak = 0;
  uint64_t live = 0;       // without what was allocated while it marked
  double utilization = 0;  // while it marked
  double assists = 0;      // their share of that
  double duration = 0;     // ms
  bool limited = false;    // whether the limiter has intervened

  // 1: the heap was at its goal when marking ended.
  double goal_ratio() const {
    return static_cast<double>(peak) / static_cast<double>(goal);
  }
  // The part of the way from marked to goal that the trigger was at.
  double trigger_ratio() const {
    return static_cast<double>(trigger - marked_before) /
           static_cast<double>(goal - marked_before);
  }
};

class PacerSimulation {
 public:
  PacerSimulation(const PacerSettings& settings,
                  const SimulatedProgram& program);

  SimulatedCycle RunCycle();
  std::vector<SimulatedCycle> Run(int cycles);

  GcPacer& pacer() { return pacer_; }
  CpuLimiter& limiter() { return limiter_; }
  // Collection's share of the machine since the beginning, or since
  // ResetShare().
  double share() const { return collection_time_ / machine_time_; }
  void ResetShare() { collection_time_ = machine_time_ = 0; }

 private:
  struct Thread {
    AssistAccount account;
    double time = 0;  // ns that it may still use; negative: used in advance
    uint64_t owed = 0;
    uint64_t assisted = 0;  // of what it owed
  };

  void Pass(double ns);
  void Grow(uint64_t bytes);
  void MutateUntilDue();
  MarkWorkers StartCycle();
  bool MarkAll(double background);
  uint64_t work_left() const { return left_[0] + left_[1] + left_[2]; }
  // Marks as much as is left, at most `work`.
  uint64_t Mark(double work);
  void RunThread(Thread& thread);
  void Allocate(Thread& thread);
  void Assist(Thread& thread);

  SimulatedProgram program_;
  GcPacer pacer_;
  CpuLimiter limiter_;
  std::vector<Thread> threads_;
  int cycle_ = 0;
  uint64_t live_;
  double now_ = 0;  // ns
  double collection_time_ = 0;
  double machine_time_ = 0;
  // Of the cycle that marks.
  double alloc_rate_ = 0;  // bytes in a ns
  double scan_rate_ = 0;
  uint64_t left_[3] = {};  // work, by kind
  double assist_time_ = 0;
  uint64_t black_ = 0;  // allocated
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_PACER_SIMULATION_H_
