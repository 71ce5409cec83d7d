// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Assists: has threads that allocate while a cycle marks pay for it with scan
// work, so that the heap does not outrun the collector (docs/pacing.md). A
// thread pays before it takes its next span: with credit that the background
// workers have earned, then by marking itself, and when there is nothing that
// it could mark, by waiting for credit. When the heap has outgrown its goal by
// much, it waits for the cycle's end in any case.
//
// Go counterpart: gcAssistAlloc, gcParkAssist in mgcmark.go. Thread-safe.

#ifndef TRICOLOR_RUNTIME_ASSISTS_H_
#define TRICOLOR_RUNTIME_ASSISTS_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/gc/cpu_limiter.h"
#include "tricolor/gc/gc_pacer.h"
#include "tricolor/gc/marker.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

class Assists {
 public:
  // What a thread scans between two looks at whether it is to stop: a matter of
  // microseconds.
  static constexpr uint64_t kSlice = 8 << 10;

  // All outlive this.
  Assists(gc::GcPacer& pacer, gc::CpuLimiter& limiter, gc::Marker& marker)
      : pacer_(pacer), limiter_(limiter), marker_(marker) {}
  Assists(const Assists&) = delete;
  Assists& operator=(const Assists&) = delete;

  // On the mutator's thread, managed, where it may reach safepoints: returns
  // when it owes nothing, or need not pay.
  void Pay(MutatorContext& context);

  // By background workers, which have added to the credit.
  void CreditAdded() {
    if (ABSL_PREDICT_FALSE(waiting_.LoadRelaxed() != 0)) WakeAll();
  }
  // World stopped: those who wait for credit need none.
  void MarkingDone() { WakeAll(); }
  // Nanoseconds of processor time spent in assists since the last call.
  uint64_t TakeTime() { return time_.ExchangeRelaxed(0); }

  // Handlers of fork(): the lock to hold; in the child: nobody waits.
  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }
  void ResetAfterFork();

 private:
  // What it does itself of `owed`.
  uint64_t Mark(MutatorContext& context, uint64_t owed);
  void AwaitCredit();
  void WakeAll();

  gc::GcPacer& pacer_;
  gc::CpuLimiter& limiter_;
  gc::Marker& marker_;
  Atomic<uint64_t> time_;
  Atomic<uint32_t> waiting_;
  Mutex mutex_{LockRank::kBackground};
  CondVar credit_added_;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_ASSISTS_H_
