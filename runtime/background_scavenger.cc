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
  // and sleep for lack of work is not rest. A stretch that has done all there
  // was is followed by a rest, too: there may be more at the next wake.
  if (rested_ && last_.cpu_ns > 0) {
    scavenger_.Rested(last_,
                      static_cast<int64_t>(SteadyNanoseconds() - rests_since_));
  }
  const bool waited =
      grace_ && SteadyNanoseconds() - rests_since_ >= uint64_t{kGraceNs};
  if (waited) heap_.NextScavengeGeneration();
  last_ = scavenger_.Work();
  rests_since_ = SteadyNanoseconds();
  rested_ = last_.more || last_.released != ByteCount(0);
  if (rested_) {
    grace_ = false;
    return scavenger_.RestAfter(last_);
  }
  if (log_ != nullptr) log_->Print(/*forced=*/false);
  // Only one generation: what it has not opened is dense or in use.
  grace_ = !waited && heap_.ScavengeExcess() != ByteCount(0);
  return grace_ ? -kGraceNs : BatchThread::kNothingLeft;
}

}  // namespace tricolor::runtime
