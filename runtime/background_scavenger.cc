// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/background_scavenger.h"

#include <cstdint>

namespace tricolor::runtime {

BackgroundScavenger::BackgroundScavenger(mheap::MHeap& heap, ScavengeLog* log)
    : heap_(heap),
      log_(log),
      scavenger_(*this, heap.os().page_size()),
      thread_("tricolor-scav", *this) {}

int64_t BackgroundScavenger::DoBatch() {
  // A stretch that was interrupted before it began says nothing of the pace,
  // and sleep for lack of work is not rest.
  if (last_.more && last_.cpu_ns > 0) {
    scavenger_.Rested(last_,
                      static_cast<int64_t>(SteadyNanoseconds() - rests_since_));
  }
  const bool waited =
      grace_ && SteadyNanoseconds() - rests_since_ >= uint64_t{kGraceNs};
  if (waited) heap_.NextScavengeGeneration();
  last_ = scavenger_.Work();
  rests_since_ = SteadyNanoseconds();
  if (last_.more) {
    grace_ = false;
    return scavenger_.RestAfter(last_);
  }
  if (log_ != nullptr) log_->Print(/*forced=*/false);
  // Only one generation: what it has not opened is dense or in use.
  grace_ = !waited && heap_.ScavengeExcess() != ByteCount(0);
  return grace_ ? -kGraceNs : BatchThread::kNothingLeft;
}

}  // namespace tricolor::runtime
