// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Assists: a thread that allocates while a cycle marks pays with scan work, so
// that the heap does not outrun the collector. What background workers scan is
// credit that pays for threads first; a thread works itself only for the rest.
//
//   AssistCredit    the pool, of one heap
//   AssistAccount   what one thread has allocated and not paid for
//
// Go counterpart: gcAssistAlloc, bgScanCredit in mgcmark.go, mgcpacer.go.
// AssistCredit is lock-free; all its orders are relaxed, for it is a number and
// publishes nothing. AssistAccount is thread-compatible.
// Invariants: INV-GC-PACE-5, INV-GC-PACE-6.

#ifndef TRICOLOR_GC_ASSIST_H_
#define TRICOLOR_GC_ASSIST_H_

#include <cstdint>

#include "tricolor/base/atomic.h"

namespace tricolor::gc {

// A thread that must assist scans at least this much, and has credit for what
// it did not need: assists are few and worth their overhead.
inline constexpr uint64_t kOverAssist = 64 << 10;

struct AssistDue {
  uint64_t work = 0;   // to be scanned
  uint64_t bytes = 0;  // of allocation that it pays for
};
// What a thread owes that is `debt` bytes in debt, when each byte costs
// `work_per_byte`. Nothing for a price that is not positive and finite. The
// work pays for all of a debt of less than 2^50 bytes, unless it saturates.
AssistDue AssistDueFor(uint64_t debt, double work_per_byte);

class AssistAccount {
 public:
  // `cycle` is GcPacer::cycle(): what was allocated, or paid, in another cycle
  // is forgotten, so that nobody has to visit all threads when one starts.
  void Charge(uint64_t bytes, uint32_t cycle);
  void Pay(uint64_t bytes);

  // Bytes that must be paid for before more is allocated.
  uint64_t debt() const {
    return balance_ < 0 ? uint64_t{0} - static_cast<uint64_t>(balance_) : 0;
  }
  int64_t balance() const { return balance_; }

 private:
  int64_t balance_ = 0;  // bytes; what is negative is debt
  uint32_t cycle_ = 0;
};

class AssistCredit {
 public:
  // Work that background workers have done.
  void Add(uint64_t work);
  // Takes up to `most`; returns how much.
  uint64_t Take(uint64_t most);
  void Clear() { work_.StoreRelaxed(0); }
  uint64_t available() const { return work_.LoadRelaxed(); }

  // Pays the account's debt from the pool, as far as it goes. Returns the work
  // that the thread has to do itself, of which it reports what it has done.
  uint64_t Begin(AssistAccount& account, double work_per_byte);
  static void Finish(AssistAccount& account, uint64_t done,
                     double work_per_byte);

 private:
  Atomic<uint64_t> work_;
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_ASSIST_H_
