// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/pacer.h"

#include <algorithm>
#include <cstdint>

namespace tricolor::runtime {
namespace {

constexpr uint64_t kNoGoal = UINT64_MAX;

// a + b, or the largest number.
uint64_t Add(uint64_t a, uint64_t b) {
  return b > kNoGoal - a ? kNoGoal : a + b;
}

// n * percent / 100, or the largest number.
uint64_t Percent(uint64_t n, uint64_t percent) {
  const uint64_t hundreds = n / 100;
  if (percent != 0 && hundreds > kNoGoal / percent) return kNoGoal;
  return Add(hundreds * percent, n % 100 * percent / 100);
}

uint64_t PercentGoal(const GoalInputs& in) {
  if (in.gc_percent < 0) return kNoGoal;
  const auto percent = static_cast<uint64_t>(in.gc_percent);
  const uint64_t growth =
      std::max(Percent(Add(in.marked, in.roots), percent), Pacer::kLeastGrowth);
  return std::max(Add(in.marked, growth), Percent(in.min_heap, percent));
}

// What the limit leaves for objects, after what else is in use and a margin for
// what grows between two looks at it: 3 percent, at least 1 MiB (Go's).
uint64_t LimitGoal(const GoalInputs& in) {
  if (in.memory_limit == INT64_MAX) return kNoGoal;
  const auto limit = static_cast<uint64_t>(in.memory_limit);
  const uint64_t margin = std::max(limit / 100 * 3, uint64_t{1} << 20);
  const uint64_t taken = Add(in.overhead, margin);
  const uint64_t least =
      Add(in.marked, std::max(in.marked / 16, Pacer::kLeastGrowth));
  return std::max(limit > taken ? limit - taken : 0, least);
}

}  // namespace

uint64_t HeapGoal(const GoalInputs& inputs) {
  return std::min(PercentGoal(inputs), LimitGoal(inputs));
}

Pacer::Pacer(int gc_percent, int64_t memory_limit, uint64_t min_heap,
             bool concurrent)
    : concurrent_(concurrent) {
  MutexLock lock(mutex_);
  inputs_.gc_percent = gc_percent;
  inputs_.memory_limit = memory_limit;
  inputs_.min_heap = min_heap;
  SetGoal();
}

void Pacer::SetGoal() {
  // Span structures and mark bits of small objects take about 4 percent.
  if (!measured_) {
    inputs_.overhead = static_cast<uint64_t>(inputs_.memory_limit) / 20;
  }
  goal_ = HeapGoal(inputs_);
  uint64_t start = goal_;
  if (concurrent_ && goal_ != kNoGoal && goal_ > inputs_.marked) {
    start = inputs_.marked + (goal_ - inputs_.marked) / 10 * 7;
  }
  const auto limited = [](uint64_t n) {
    return static_cast<int64_t>(std::min(n, static_cast<uint64_t>(INT64_MAX)));
  };
  const int64_t trigger = limited(start);
  trigger_.StoreRelaxed(trigger);
  // The memory limit's goal is kept; the percentage is to be met on average.
  const bool limits = LimitGoal(inputs_) <= goal_;
  most_.StoreRelaxed(limited(limits ? goal_ : Add(goal_, goal_ / 10)));
  due_.StoreRelaxed(live_.LoadRelaxed() >= trigger);
}

uint64_t Pacer::heap_live() const {
  // Caches of a former cycle may take off a little more than they had added.
  return static_cast<uint64_t>(std::max<int64_t>(live_.LoadRelaxed(), 0));
}

uint64_t Pacer::goal() const {
  MutexLock lock(mutex_);
  return goal_;
}

void Pacer::CycleDone(uint64_t marked, uint64_t roots, uint64_t overhead) {
  MutexLock lock(mutex_);
  inputs_.marked = marked;
  inputs_.roots = roots;
  inputs_.overhead = overhead;
  measured_ = true;
  live_.StoreRelaxed(static_cast<int64_t>(marked));
  SetGoal();
}

// A thread that compared with the old trigger may still raise the flag: one
// attempt more.
void Pacer::CycleRefused() {
  MutexLock lock(mutex_);
  const uint64_t live = heap_live();
  const uint64_t retry = Add(live, std::max(live / 16, kGrowthToRetry));
  const auto trigger =
      static_cast<int64_t>(std::min(retry, static_cast<uint64_t>(INT64_MAX)));
  if (trigger > trigger_.LoadRelaxed()) trigger_.StoreRelaxed(trigger);
  due_.StoreRelaxed(live_.LoadRelaxed() >= trigger_.LoadRelaxed());
}

int Pacer::SetGcPercent(int percent) {
  MutexLock lock(mutex_);
  const int old = inputs_.gc_percent;
  inputs_.gc_percent = percent < 0 ? -1 : percent;
  SetGoal();
  return old;
}

int64_t Pacer::SetMemoryLimit(int64_t bytes) {
  MutexLock lock(mutex_);
  const int64_t old = inputs_.memory_limit;
  if (bytes < 0) return old;
  inputs_.memory_limit = bytes;
  SetGoal();
  return old;
}

int64_t Pacer::memory_limit() const {
  MutexLock lock(mutex_);
  return inputs_.memory_limit;
}

}  // namespace tricolor::runtime
