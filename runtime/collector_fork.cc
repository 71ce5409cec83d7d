// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The collector around a fork, and what it does in the child with a cycle that
// a thread of the parent has left. docs/runtime.md has the whole.

#include <algorithm>
#include <cstdint>
#include <utility>

#include "tricolor/runtime/collector.h"
#include "tricolor/runtime/service_thread.h"

namespace tricolor::runtime {

Collector::NoFork::NoFork(Collector& collector) : collector_(collector) {
  MutexLock lock(collector_.mutex_);
  while (collector_.fork_waits_) {
    collector_.turn_ended_.Wait(collector_.mutex_);
  }
  ++collector_.no_fork_;
}

Collector::NoFork::~NoFork() {
  MutexLock lock(collector_.mutex_);
  --collector_.no_fork_;
  collector_.turn_ended_.SignalAll();
}

// ---- The cycle's thread.

void Collector::SetMayRest(bool may) {
  MutexLock lock(mutex_);
  may_rest_ = may;
  // The last stop may have a round, which must go to its end.
  parts_.marker.SetPausing(may && fork_waits_);
}

bool Collector::RestForFork() {
  MutexLock lock(mutex_);
  if (!fork_waits_) return false;
  resting_ = true;
  turn_ended_.SignalAll();
  while (fork_waits_) turn_ended_.Wait(mutex_);
  resting_ = false;
  return true;
}

bool Collector::FinishOpenCycle() {
  {
    MutexLock lock(mutex_);
    if (!std::exchange(open_cycle_, false)) return false;
  }
  cycle_.record.workers = std::min(cycle_.record.workers, crew_.Prepare());
  FinishBesideProgram(/*resumed=*/true);
  return true;
}

// ---- The forking thread.

void Collector::BeginFork() {
  {
    MutexLock lock(mutex_);
    fork_waits_ = true;
    if (may_rest_) parts_.marker.SetPausing(true);
    while (no_fork_ != 0 || visits_ != 0 || (turn_taken_ && !resting_)) {
      turn_ended_.Wait(mutex_);
    }
    // Of the cycle that rests, or the caller's.
    turn_taken_ = true;
  }
  background_.Pause();
  scavenger_.Pause();
}

void Collector::EndForkInParent() {
  scavenger_.Resume();
  background_.Resume();
  MutexLock lock(mutex_);
  fork_waits_ = false;
  parts_.marker.SetPausing(false);
  turn_taken_ = resting_;
  turn_ended_.SignalAll();
}

void Collector::EndForkInChild() {
  turn_ended_.ResetAfterFork();
  driver_wakes_.ResetAfterFork();
  crew_.ResetAfterFork();
  assists_.ResetAfterFork();
  background_.thread().ResetAfterFork();
  scavenger_.thread().ResetAfterFork();
  pace_.ResetAfterFork();
  scavenger_.Resume();
  background_.Resume();
  MutexLock lock(mutex_);
  driver_lost_ = driver_.ForgetAfterFork() || driver_lost_;
  driver_refused_ = false;
  driver_wanted_ = false;
  // Who waited for these is not here.
  full_done_ = full_started_;
  open_cycle_ = open_cycle_ || resting_;
  resting_ = false;
  may_rest_ = false;
  open_to_visits_ = false;
  fork_waits_ = false;
  no_fork_ = 0;
  turn_taken_ = false;
  parts_.marker.SetPausing(false);
}

void Collector::ReviveThreads() {
  bool wake_driver = false;
  {
    MutexLock lock(mutex_);
    wake_driver = std::exchange(driver_lost_, false) || open_cycle_;
  }
  background_.thread().Revive();
  scavenger_.thread().Revive();
  if (!wake_driver || WakeDriver()) return;
  // No thread for it: the open cycle, which those who allocate wait for, ends
  // here.
  ThreadNativeScope native;
  const Turn turn(*this);
}

}  // namespace tricolor::runtime
