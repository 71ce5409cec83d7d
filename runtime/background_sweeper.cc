// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/background_sweeper.h"

#include <sched.h>

#include <cstdint>

namespace tricolor::runtime {

int64_t SweepHeadStart::Left(int64_t now) {
  const int64_t left = cycle_ended_.LoadRelaxed() + kNs - now;
  if (left <= 0) return 0;
  if (put_off_since_ == 0) put_off_since_ = now;
  return now - put_off_since_ < kLongestPutOffNs ? left : 0;
}

BackgroundSweeper::BackgroundSweeper(mheap::MHeap& heap,
                                     sweep::Sweeper& sweeper,
                                     gc::Marker& marker, Listener& listener)
    : heap_(heap),
      sweeper_(sweeper),
      marker_(marker),
      listener_(listener),
      thread_("tricolor-sweep", *this) {
  heap_.AttachProcessor(processor_);
}

BackgroundSweeper::~BackgroundSweeper() {
  thread_.End();
  heap_.ReleaseProcessor(processor_);
}

void BackgroundSweeper::Wake() {
  head_start_.CycleEnded(BatchThread::Now());
  thread_.Wake(SweepHeadStart::kNs);
}

int64_t BackgroundSweeper::DoBatch() {
  if (const int64_t left = head_start_.Left(BatchThread::Now()); left > 0) {
    return left;
  }
  const bool more = SweepSome();
  // Whoever allocates comes first.
  sched_yield();
  return more ? 0 : BatchThread::kNothingLeft;
}

bool BackgroundSweeper::SweepSome() {
  for (int i = 0; i < kBatch; ++i) {
    if (sweeper_.SweepOne(processor_)) continue;
    if (marker_.FreeWorkBufSpans(processor_)) return true;
    // An idle cache holds no pages.
    heap_.FlushPageCache(processor_);
    head_start_.SweepDone();
    listener_.SweptInBackground();
    return false;
  }
  return true;
}

}  // namespace tricolor::runtime
