// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// std::mutex and std::condition_variable whose operations are steps of the
// scheduler that runs the calling thread, and whose waiting it does. What Mutex
// and CondVar use of them, and no more. Threads that no scheduler runs find the
// standard ones; an object is never used by threads of both kinds at a time.

#ifndef TRICOLOR_BASE_SCHEDULED_MUTEX_H_
#define TRICOLOR_BASE_SCHEDULED_MUTEX_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "tricolor/base/schedule_hooks.h"

namespace tricolor::schedule {

class ScheduledMutex {
 public:
  constexpr ScheduledMutex() = default;

  void lock() {
    if (hooks == nullptr) return mutex_.lock();
    Step(StepKind::kLock, this);
    Take();
  }
  bool try_lock() {
    Step(StepKind::kTryLock, this);
    return mutex_.try_lock();
  }
  // No place to switch: what others could do before it they can do after it, or
  // could do before this thread's step before.
  void unlock() {
    mutex_.unlock();
    if (hooks != nullptr) hooks->Wake(this, true);
  }

 private:
  friend class ScheduledCondition;

  void Take() {
    while (!mutex_.try_lock()) hooks->Block(this, Hooks::kNoLimit);
  }

  std::mutex mutex_;
};

// Wakes the one who has waited longest, and nobody without a signal.
class ScheduledCondition {
 public:
  void wait(std::unique_lock<ScheduledMutex>& lock) {
    if (hooks == nullptr) {
      WithStandard(lock, [this](auto& standard) { condition_.wait(standard); });
    } else {
      Wait(*lock.mutex(), Hooks::kNoLimit);
    }
  }
  std::cv_status wait_for(std::unique_lock<ScheduledMutex>& lock,
                          std::chrono::nanoseconds limit) {
    bool woken = true;
    if (hooks == nullptr) {
      WithStandard(lock, [&](auto& standard) {
        woken =
            condition_.wait_for(standard, limit) == std::cv_status::no_timeout;
      });
    } else {
      woken = Wait(*lock.mutex(), limit.count());
    }
    return woken ? std::cv_status::no_timeout : std::cv_status::timeout;
  }
  void notify_one() { Notify(false); }
  void notify_all() { Notify(true); }

 private:
  template <typename Function>
  static void WithStandard(std::unique_lock<ScheduledMutex>& lock,
                           Function function) {
    std::unique_lock<std::mutex> standard(lock.mutex()->mutex_,
                                          std::adopt_lock);
    function(standard);
    standard.release();
  }
  bool Wait(ScheduledMutex& mutex, int64_t nanoseconds) {
    Step(StepKind::kWait, this);
    mutex.unlock();
    const bool woken = hooks->Block(this, nanoseconds);
    mutex.Take();
    return woken;
  }
  void Notify(bool all) {
    if (hooks == nullptr) {
      all ? condition_.notify_all() : condition_.notify_one();
      return;
    }
    Step(StepKind::kSignal, this);
    hooks->Wake(this, all);
  }

  std::condition_variable condition_;
};

}  // namespace tricolor::schedule

#endif  // TRICOLOR_BASE_SCHEDULED_MUTEX_H_
