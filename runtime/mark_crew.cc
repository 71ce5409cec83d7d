// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/mark_crew.h"

#include <cstdint>
#include <memory>
#include <utility>

namespace tricolor::runtime {

MarkCrew::~MarkCrew() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
    helpers_wake_.SignalAll();
  }
  for (const auto& helper : helpers_) helper->thread.Join();
}

int MarkCrew::Prepare() {
  while (static_cast<int>(helpers_.size()) + 1 < size_) {
    auto helper = std::make_unique<Helper>();
    helper->crew = this;
    helper->index = static_cast<int>(helpers_.size()) + 1;
    const auto body = [](void* argument) {
      auto* self = static_cast<Helper*>(argument);
      self->crew->HelperLoop(self->index);
    };
    if (!helper->thread.Start("tricolor-mark", body, helper.get())) break;
    helpers_.push_back(std::move(helper));
  }
  return static_cast<int>(helpers_.size()) + 1;
}

uint64_t MarkCrew::Run(int workers) {
  {
    MutexLock lock(mutex_);
    ++round_;
    workers_ = workers;
    working_ = workers - 1;
    cpu_ns_ = 0;
    helpers_wake_.SignalAll();
  }
  marker_.RunWorker(0);
  MutexLock lock(mutex_);
  while (working_ != 0) done_.Wait(mutex_);
  return cpu_ns_;
}

void MarkCrew::ResetAfterFork() {
  helpers_wake_.ResetAfterFork();
  done_.ResetAfterFork();
  for (const auto& helper : helpers_) helper->thread.ForgetAfterFork();
  helpers_.clear();
  MutexLock lock(mutex_);
  // A new helper takes part from the next round on, not in the last one.
  workers_ = 0;
}

void MarkCrew::HelperLoop(int index) {
  uint64_t round = 0;
  for (;;) {
    {
      MutexLock lock(mutex_);
      while (!ending_ && (round_ == round || index >= workers_)) {
        round = round_;
        helpers_wake_.Wait(mutex_);
      }
      if (ending_) return;
      round = round_;
    }
    const uint64_t start = ThreadCpuNanoseconds();
    marker_.RunWorker(index);
    const uint64_t used = ThreadCpuNanoseconds() - start;
    MutexLock lock(mutex_);
    cpu_ns_ += used;
    if (--working_ == 0) done_.Signal();
  }
}

}  // namespace tricolor::runtime
