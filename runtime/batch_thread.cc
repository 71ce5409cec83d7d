// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/batch_thread.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace tricolor::runtime {

int64_t BatchThread::Now() { return static_cast<int64_t>(SteadyNanoseconds()); }

void BatchThread::End() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
    interrupted_.StoreRelaxed(true);
    wakes_.Signal();
  }
  thread_.Join();
}

// The earliest wake counts: if later ones put the batch off, wakes that come
// faster than their delay would put it off for ever.
bool BatchThread::Wake(int64_t delay_ns) {
  MutexLock lock(mutex_);
  const int64_t from = Now() + delay_ns;
  if (from < wanted_from_) {
    wanted_from_ = from;
    wakes_.Signal();
  }
  return StartThread();
}

bool BatchThread::StartThread() {
  if (thread_.started()) return true;
  const auto body = [](void* self) { static_cast<BatchThread*>(self)->Loop(); };
  return thread_.Start(name_, body, this);
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

void BatchThread::ResetAfterFork() {
  wakes_.ResetAfterFork();
  idle_.ResetAfterFork();
  thread_.ForgetAfterFork();
}

void BatchThread::Revive() {
  MutexLock lock(mutex_);
  if (wanted_from_ != kNever && !ending_) StartThread();
}

void BatchThread::Loop() {
  while (AwaitBatch()) EndBatch(work_.DoBatch());
}

bool BatchThread::AwaitBatch() {
  MutexLock lock(mutex_);
  while (!ending_) {
    if (pauses_ != 0 || wanted_from_ == kNever) {
      wakes_.Wait(mutex_);
      continue;
    }
    const int64_t left = std::max(wanted_from_, rest_until_) - Now();
    if (left <= 0) {
      working_ = true;
      // A wake from here on is for another batch.
      wanted_from_ = kNever;
      return true;
    }
    wakes_.WaitFor(mutex_, left);
  }
  return false;
}

void BatchThread::EndBatch(int64_t rest_ns) {
  MutexLock lock(mutex_);
  working_ = false;
  rest_until_ = 0;
  if (rest_ns != kNothingLeft) {
    const int64_t until = Now() + std::abs(rest_ns);
    wanted_from_ = std::min(wanted_from_, until);
    if (rest_ns > 0) rest_until_ = until;
  }
  if (pauses_ != 0) idle_.SignalAll();
}

}  // namespace tricolor::runtime
