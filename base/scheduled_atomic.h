// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// std::atomic and std::atomic_ref whose every operation is a step of the
// scheduler that runs the calling thread. What Atomic uses of them, and no
// more. Same size and alignment.

#ifndef TRICOLOR_BASE_SCHEDULED_ATOMIC_H_
#define TRICOLOR_BASE_SCHEDULED_ATOMIC_H_

#include <atomic>

#include "tricolor/base/schedule_hooks.h"

namespace tricolor::schedule {

template <typename T>
class ScheduledAtomic {
 public:
  constexpr ScheduledAtomic() = default;
  constexpr explicit ScheduledAtomic(T value) : value_(value) {}

  T load(std::memory_order order) const {
    At(StepKind::kLoad);
    return value_.load(order);
  }
  void store(T v, std::memory_order order) {
    At(StepKind::kStore);
    value_.store(v, order);
  }
  T exchange(T v, std::memory_order order) {
    At(StepKind::kExchange);
    return value_.exchange(v, order);
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order success,
                               std::memory_order failure) {
    At(StepKind::kCompareExchange);
    return value_.compare_exchange_strong(expected, desired, success, failure);
  }
  T fetch_add(T n, std::memory_order order) {
    At(StepKind::kReadModifyWrite);
    return value_.fetch_add(n, order);
  }
  T fetch_sub(T n, std::memory_order order) {
    At(StepKind::kReadModifyWrite);
    return value_.fetch_sub(n, order);
  }
  T fetch_or(T bits, std::memory_order order) {
    At(StepKind::kReadModifyWrite);
    return value_.fetch_or(bits, order);
  }
  T fetch_and(T bits, std::memory_order order) {
    At(StepKind::kReadModifyWrite);
    return value_.fetch_and(bits, order);
  }

 private:
  void At(StepKind kind) const { Step(kind, this); }

  std::atomic<T> value_;
};

template <typename T>
class ScheduledAtomicRef {
 public:
  explicit ScheduledAtomicRef(T& value) : value_(value) {}

  T load(std::memory_order order) const {
    Step(StepKind::kLoad, &value_);
    return std::atomic_ref<T>(value_).load(order);
  }
  void store(T v, std::memory_order order) const {
    Step(StepKind::kStore, &value_);
    std::atomic_ref<T>(value_).store(v, order);
  }

 private:
  T& value_;
};

}  // namespace tricolor::schedule

#endif  // TRICOLOR_BASE_SCHEDULED_ATOMIC_H_
