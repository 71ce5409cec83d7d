// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/background_sweeper.h"

#include <sched.h>

namespace tricolor::runtime {

BackgroundSweeper::BackgroundSweeper(mheap::MHeap& heap,
                                     sweep::Sweeper& sweeper,
                                     gc::Marker& marker, Listener& listener)
    : heap_(heap), sweeper_(sweeper), marker_(marker), listener_(listener) {
  heap_.AttachProcessor(processor_);
}

BackgroundSweeper::~BackgroundSweeper() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
    sweeper_wakes_.Signal();
  }
  thread_.Join();
  heap_.ReleaseProcessor(processor_);
}

void BackgroundSweeper::Wake() {
  MutexLock lock(mutex_);
  if (refused_) return;
  wanted_ = true;
  woken_ = true;
  sweeper_wakes_.Signal();
  if (thread_.started()) return;
  const auto body = [](void* self) {
    static_cast<BackgroundSweeper*>(self)->Loop();
  };
  refused_ = !thread_.Start("tricolor-sweep", body, this);
}

void BackgroundSweeper::Pause() {
  MutexLock lock(mutex_);
  ++pauses_;
  while (working_) idle_.Wait(mutex_);
}

void BackgroundSweeper::Resume() {
  MutexLock lock(mutex_);
  if (--pauses_ == 0) sweeper_wakes_.Signal();
}

void BackgroundSweeper::Loop() {
  while (AwaitWork()) {
    EndBatch(DoBatch());
    // Whoever allocates comes first.
    sched_yield();
  }
}

bool BackgroundSweeper::AwaitWork() {
  MutexLock lock(mutex_);
  for (;;) {
    while (!ending_ && (!wanted_ || pauses_ != 0)) sweeper_wakes_.Wait(mutex_);
    if (ending_ || !woken_) break;
    woken_ = false;
    // Another cycle that ends meanwhile gives another head start.
    sweeper_wakes_.WaitFor(mutex_, kHeadStartNs);
  }
  working_ = !ending_;
  // A cycle that ends from here on asks again.
  wanted_ = false;
  return working_;
}

bool BackgroundSweeper::DoBatch() {
  for (int i = 0; i < kBatch; ++i) {
    if (sweeper_.SweepOne(processor_)) continue;
    if (marker_.FreeWorkBufSpans(processor_)) return true;
    // An idle cache holds no pages.
    heap_.FlushPageCache(processor_);
    listener_.SweptInBackground();
    return false;
  }
  return true;
}

void BackgroundSweeper::EndBatch(bool more) {
  MutexLock lock(mutex_);
  working_ = false;
  wanted_ |= more;
  if (pauses_ != 0) idle_.SignalAll();
}

}  // namespace tricolor::runtime
