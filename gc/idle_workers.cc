// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/idle_workers.h"

#include <sched.h>

#include <cstdint>

#include "tricolor/base/pause.h"

namespace tricolor::gc {

void IdleWorkers::Pause(uint32_t round) {
  if (round < kSpins) {
    PauseCpu();
  } else if (round < kSpins + kYields) {
    sched_yield();
  } else {
    Nap();
  }
}

// A publisher that has not seen this sleeper yet does not wake it. That costs
// the rest of the nap and no more, for the waiter looks again after each one.
void IdleWorkers::Nap() {
  MutexLock lock(mutex_);
  sleepers_.FetchAddRelaxed(1);
  if (state_.LoadRelaxed() != kDone) {
    (void)wake_.WaitFor(mutex_, kNapNanoseconds);
  }
  sleepers_.FetchSubRelaxed(1);
}

// The lock: without it the signal could fall between a sleeper's look at the
// state and its sleep.
void IdleWorkers::WakeAll() {
  MutexLock lock(mutex_);
  wake_.SignalAll();
}

}  // namespace tricolor::gc
