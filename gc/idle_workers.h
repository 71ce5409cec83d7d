// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The workers of a cycle that have found nothing to do, and the decision that
// nothing is left anywhere. One word counts the idle workers. The worker that
// makes all of them idle decides alone: it calls Finish or, when it knows of
// more work, Resume. docs/marking.md has the proof that no work is left then.
//
// Go counterpart: work.nwait and gcMarkDone's search for work; Go's workers do
// not wait but give their processor back.
// Lock-free, but for sleeping. INV-GC-4: a worker is idle only without items of
// its own; a worker stops being idle before it takes work. INV-GC-5: once all
// are idle, only the last of them changes the count.

#ifndef TRICOLOR_GC_IDLE_WORKERS_H_
#define TRICOLOR_GC_IDLE_WORKERS_H_

#include <cstdint>

#include "tricolor/base/atomic.h"
#include "tricolor/base/check.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/mutex.h"

namespace tricolor::gc {

class IdleWorkers {
 public:
  enum class Outcome {
    kWork,  // not idle any more: look for work
    kLast,  // all are idle, the caller last: call Finish or Resume
    kDone,  // somebody has called Finish
  };

  IdleWorkers() = default;
  IdleWorkers(const IdleWorkers&) = delete;
  IdleWorkers& operator=(const IdleWorkers&) = delete;

  // No other user. `workers` >= 1 are at work.
  void Reset(uint32_t workers) {
    workers_ = workers;
    state_.StoreRelaxed(0);
  }
  // Whether some worker waits; may be out of date at once.
  bool any() const { return state_.LoadRelaxed() != 0; }

  // By a worker that has no items and has found none. Waits until
  // `has_work()`, which may be wrong in both directions for a moment, or until
  // the decision.
  template <typename HasWork>
  Outcome Await(const HasWork& has_work);

  // By the worker to which Await returned kLast. It has work again.
  void Resume() {
    state_.StoreRelease(workers_ - 1);
    WakeAll();
  }
  void Finish() {
    state_.StoreRelease(kDone);
    WakeAll();
  }
  // After work has been published: wakes those who sleep.
  void WorkPublished() {
    if (sleepers_.LoadRelaxed() != 0) WakeAll();
  }

 private:
  static constexpr uint32_t kDone = ~uint32_t{0};
  static constexpr uint32_t kSpins = 128;
  static constexpr uint32_t kYields = 64;
  static constexpr int64_t kNapNanoseconds = 500 * 1000;

  // Spins, yields, then sleeps for at most kNapNanoseconds.
  void Pause(uint32_t round);
  void Nap();
  void WakeAll();

  uint32_t workers_ = 1;
  Atomic<uint32_t> state_;  // idle workers, or kDone
  Atomic<uint32_t> sleepers_;
  // Never held together with that of the work-buffer spans.
  Mutex mutex_{LockRank::kWorkBufSpans};
  CondVar wake_;
};

template <typename HasWork>
IdleWorkers::Outcome IdleWorkers::Await(const HasWork& has_work) {
  // Release what this worker has done, acquire what the others have: the last
  // one sees it all, for each increment continues the release sequences of the
  // earlier ones.
  const uint32_t before = state_.FetchAddAcqRel(1);
  TRICOLOR_CHECK(before < workers_, "worker %u of %u goes idle", before + 1,
                 workers_);
  if (before + 1 == workers_) return Outcome::kLast;
  for (uint32_t round = 0;; ++round) {
    uint32_t seen = state_.LoadAcquire();
    if (seen == kDone) return Outcome::kDone;
    // With all workers idle the count is the last one's to change. Otherwise
    // this worker might leave between that one's look and its Finish.
    if (seen != workers_ && has_work() &&
        state_.CompareExchangeAcqRel(seen, seen - 1)) {
      return Outcome::kWork;
    }
    Pause(round);
  }
}

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_IDLE_WORKERS_H_
