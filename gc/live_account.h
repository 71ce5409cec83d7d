// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// LiveAccount: what one processor has told the pacer of the live heap. It tells
// of more than it has taken, and then of nothing until it has taken that much:
// the pacer never lags behind, and processors do not write to one word for each
// span.
//
// Go counterpart: none; mcache.refill adds to gcController.heapLive.
// Used by one thread at a time (thread-compatible).

#ifndef TRICOLOR_GC_LIVE_ACCOUNT_H_
#define TRICOLOR_GC_LIVE_ACCOUNT_H_

#include <cstdint>
#include <utility>

#include "absl/base/optimization.h"
#include "tricolor/gc/gc_pacer.h"

namespace tricolor::gc {

class LiveAccount {
 public:
  // The processor has taken `bytes`, or given them back. Which of them have
  // pointers is not known.
  void Changed(GcPacer& pacer, int64_t bytes) {
    used_ = true;
    ahead_ -= bytes;
    const int64_t most = pacer.ahead();
    if (ABSL_PREDICT_TRUE(ahead_ >= 0 && ahead_ <= 2 * most)) return;
    Tell(pacer, most - ahead_);
  }
  // Takes back what was told ahead of time.
  void Settle(GcPacer& pacer) {
    if (ahead_ != 0) Tell(pacer, -ahead_);
  }
  // The pacer has counted the live heap afresh. Whether the processor has taken
  // anything, or given it back, since it did so the last time.
  bool Forget() {
    ahead_ = 0;
    return std::exchange(used_, false);
  }

 private:
  void Tell(GcPacer& pacer, int64_t bytes) {
    pacer.HeapLiveChanged(bytes, bytes);
    ahead_ += bytes;
  }

  int64_t ahead_ = 0;
  bool used_ = false;
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_LIVE_ACCOUNT_H_
