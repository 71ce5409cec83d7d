// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// CpuLimiter: keeps a heap that cannot be collected fast enough, as under a
// memory limit that is too low, from spending more than about half of the
// machine on it. A leaky bucket of one second for each processor: collection
// fills it, the program drains it, a nanosecond for a nanosecond; while it is
// full, threads do not assist, and the heap grows beyond its goal instead. What
// an update brings beyond the capacity is kept, up to as much again, and must
// drain too: otherwise each update would forgive some of the excess.
//
// No clock: times are arguments, in nanoseconds of one steady clock. A time
// before the last one counts as that.
//
// Go counterpart: gcCPULimiterState in mgclimit.go. Lock-free: limiting,
// NeedsUpdate, the pools, all relaxed. The rest is guarded by a mutex.
// Invariant: INV-GC-PACE-7.

#ifndef TRICOLOR_GC_CPU_LIMITER_H_
#define TRICOLOR_GC_CPU_LIMITER_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/saturating.h"

namespace tricolor::gc {

class CpuLimiter {
 public:
  static constexpr uint64_t kCapacityPerProcessor = 1'000'000'000;
  static constexpr uint64_t kUpdatePeriod = 10'000'000;

  // `processors`: at least 1, less counts as 1.
  CpuLimiter(uint64_t now, int processors);
  CpuLimiter(const CpuLimiter&) = delete;
  CpuLimiter& operator=(const CpuLimiter&) = delete;

  // Whether threads shall not assist, and stop where they are at it.
  bool limiting() const { return limiting_.LoadRelaxed(); }
  // Whether the last update is kUpdatePeriod ago.
  bool NeedsUpdate(uint64_t now) const {
    return SaturatingSub(now, last_update_.LoadRelaxed()) >= kUpdatePeriod;
  }

  // Processor time since the last call: of assists, marking or returning
  // memory; and of processors that had nothing to do, idle marking included.
  void AddAssistTime(uint64_t ns) { AddSaturating(assist_time_, ns); }
  void AddIdleTime(uint64_t ns) { AddSaturating(idle_time_, ns); }

  // Accounts for the time since the last update. Does nothing when another
  // thread is at it.
  void Update(uint64_t now);
  // From now on background workers take this share of all processors, 0 to 1:
  // when a cycle begins to mark and, with 0, when it has ended.
  void SetBackgroundShare(uint64_t now, double share);
  // A bucket that is fuller than the new capacity is full.
  void SetProcessors(uint64_t now, int processors);

  // For statistics and tests; nanoseconds.
  uint64_t fill() const;
  uint64_t capacity() const;
  // Collection's time beyond twice the capacity, which is forgotten.
  uint64_t overflow() const;

  // Fatal unless INV-GC-PACE-7 holds.
  void CheckInvariants() const;

  // For handlers of fork() to hold.
  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }

 private:
  void Account(uint64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fill(uint64_t ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Atomic<bool> limiting_;
  Atomic<uint64_t> last_update_;
  Atomic<uint64_t> assist_time_;
  Atomic<uint64_t> idle_time_;

  mutable Mutex mutex_{LockRank::kPacer};
  uint64_t processors_ ABSL_GUARDED_BY(mutex_);
  double background_share_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t fill_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t capacity_ ABSL_GUARDED_BY(mutex_);
  uint64_t overflow_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_CPU_LIMITER_H_
