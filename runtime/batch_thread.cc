// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/batch_thread.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace tricolor::runtime {
namespace {

int64_t Now() { return static_cast<int64_t>(SteadyNanoseconds()); }

}  // namespace

void BatchThread::End() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
    interrupted_.StoreRelaxed(true);
    wakes_.Signal();
  }
  thread_.Join();
}

bool BatchThread::Wake(int64_t delay_ns) {
  MutexLock lock(mutex_);
  if (refused_) return false;
  if (light_rest_) due_ = kNever;
  light_rest_ = false;
  DueAt(Now() + delay_ns);
  wakes_.Signal();
  if (thread_.started()) return true;
  const auto body = [](void* self) { static_cast<BatchThread*>(self)->Loop(); };
  refused_ = !thread_.Start(name_, body, this);
  return !refused_;
}

void BatchThread::Pause() {
  MutexLock lock(mutex_);
  ++pauses_;
  interrupted_.StoreRelaxed(true);
  while (working_) idle_.Wait(mutex_);
}

void BatchThread::Resume() {
  MutexLock lock(mutex_);
  if (--pauses_ != 0) return;
  interrupted_.StoreRelaxed(ending_);
  wakes_.Signal();
}

void BatchThread::Loop() {
  while (AwaitBatch()) EndBatch(work_.DoBatch());
}

bool BatchThread::AwaitBatch() {
  MutexLock lock(mutex_);
  while (!ending_) {
    if (pauses_ != 0 || due_ == kNever) {
      wakes_.Wait(mutex_);
      continue;
    }
    const int64_t left = due_ - Now();
    if (left <= 0) {
      working_ = true;
      // A wake from here on is for another batch.
      due_ = kNever;
      light_rest_ = false;
      return true;
    }
    wakes_.WaitFor(mutex_, left);
  }
  return false;
}

void BatchThread::EndBatch(int64_t rest_ns) {
  MutexLock lock(mutex_);
  working_ = false;
  if (rest_ns != kNothingLeft) {
    light_rest_ = rest_ns < 0 && due_ == kNever;
    // Woken during the batch: there is no rest to be cut short.
    if (rest_ns >= 0 || light_rest_) DueAt(Now() + std::abs(rest_ns));
  }
  if (pauses_ != 0) idle_.SignalAll();
}

void BatchThread::DueAt(int64_t when) {
  due_ = due_ == kNever ? when : std::max(due_, when);
}

}  // namespace tricolor::runtime
