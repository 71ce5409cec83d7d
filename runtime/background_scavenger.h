// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// BackgroundScavenger: a thread that gives memory beyond the heap's goals back
// to the OS, at the pace that mheap::Scavenger sets by this thread's CPU time
// and the steady clock. It sleeps while there is nothing beyond them, until it
// is woken: when a cycle has been swept, and when the goals change.
//
// Go counterpart: bgscavenge in mgcscavenge.go. Thread-safe.

#ifndef TRICOLOR_RUNTIME_BACKGROUND_SCAVENGER_H_
#define TRICOLOR_RUNTIME_BACKGROUND_SCAVENGER_H_

#include <cstdint>

#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/scavenger.h"
#include "tricolor/runtime/batch_thread.h"
#include "tricolor/runtime/scavenge_log.h"

namespace tricolor::runtime {

class BackgroundScavenger final : private BatchThread::Work,
                                  private mheap::Scavenger::Host {
 public:
  // Memory that was dense when the last cycle marked is kept until the next
  // one, or for so long if there is none.
  static constexpr int64_t kGraceNs = 60'000'000'000;

  // Both outlive it; `log` may be null.
  BackgroundScavenger(mheap::MHeap& heap, ScavengeLog* log);
  BackgroundScavenger(const BackgroundScavenger&) = delete;
  BackgroundScavenger& operator=(const BackgroundScavenger&) = delete;

  // There may be memory beyond the goals. A sleep of the pace is not cut short.
  // False when the system has no thread for it.
  bool Wake() { return thread_.Wake(); }
  // As in BatchThread. A paused scavenger has no pages in its hands.
  void Pause() { thread_.Pause(); }
  void Resume() { thread_.Resume(); }
  // As in BatchThread: handlers of fork().
  BatchThread& thread() { return thread_; }

 private:
  // BatchThread::Work.
  int64_t DoBatch() override;

  // mheap::Scavenger::Host.
  ByteCount ReleaseExcess(ByteCount max) override {
    return heap_.ScavengeInBackground(max);
  }
  int64_t CpuNs() override {
    return static_cast<int64_t>(ThreadCpuNanoseconds());
  }
  bool Interrupted() override { return thread_.interrupted(); }

  mheap::MHeap& heap_;
  ScavengeLog* const log_;
  // The thread's own.
  mheap::Scavenger scavenger_;
  mheap::Scavenger::Stretch last_;
  bool rested_ = false;  // after it
  uint64_t rests_since_ = 0;
  bool grace_ = false;  // waits for kGraceNs

  BatchThread thread_;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_BACKGROUND_SCAVENGER_H_
