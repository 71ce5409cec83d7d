// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// For what makes threads: lets the scheduler that runs the maker, if one does,
// run the new thread too. Nothing happens otherwise. Thread-compatible.

#ifndef TRICOLOR_BASE_SCHEDULED_THREAD_H_
#define TRICOLOR_BASE_SCHEDULED_THREAD_H_

#include "tricolor/base/schedule_hooks.h"

namespace tricolor::schedule {

class ScheduledThread {
 public:
  // By the maker, just before: no step may come between.
  void Make() {
    hooks_ = hooks;
    if (hooks_ != nullptr) number_ = hooks_->Spawn();
  }
  // By the new thread, first and last of all.
  void Begin() {
    if (hooks_ != nullptr) hooks_->Begin(number_);
  }
  void End() {
    if (hooks_ != nullptr) hooks_->End();
  }
  // By who joins it, before.
  void AwaitEnd() {
    if (hooks_ != nullptr) hooks_->AwaitEnd(number_);
  }

 private:
  Hooks* hooks_ = nullptr;
  int number_ = 0;
};

}  // namespace tricolor::schedule

#endif  // TRICOLOR_BASE_SCHEDULED_THREAD_H_
