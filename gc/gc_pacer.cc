// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/gc_pacer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tricolor/base/check.h"

namespace tricolor::gc {
namespace {

// The counters of every refill are signed, and cheap for that.
int64_t AsCounter(uint64_t bytes) {
  return static_cast<int64_t>(
      std::min(bytes, static_cast<uint64_t>(INT64_MAX)));
}

unsigned long long Print(uint64_t n) { return n; }

}  // namespace

GcPacer::GcPacer(const PacerSettings& settings) {
  MutexLock lock(mutex_);
  inputs_.gc_percent = settings.gc_percent;
  inputs_.memory_limit = settings.memory_limit;
  inputs_.min_heap = settings.min_heap;
  Commit();
}

// ---- What follows from the inputs.

uint64_t GcPacer::ExpectedWork() const {
  return SaturatingAdd(SaturatingAdd(last_heap_work_, last_stack_work_),
                       globals_);
}

void GcPacer::Commit() {
  // Span structures and mark bits of small objects take about 4 percent.
  if (!measured_) {
    inputs_.overhead =
        static_cast<uint64_t>(std::max<int64_t>(inputs_.memory_limit, 0)) / 20;
  }
  uint64_t goal = std::min(std::max(PercentGoal(inputs_), sweep_floor_),
                           LimitGoal(inputs_));
  if (marking()) {
    goal =
        std::max(goal, SaturatingAdd(triggered_.LoadRelaxed(), kLeastRunway));
  }
  goal_.StoreRelaxed(goal);
  // The limit is to be kept, the percentage to be met on average.
  most_.StoreRelaxed(
      LimitGoal(inputs_) <= goal ? goal : SaturatingAdd(goal, goal / 10));
  hard_goal_.StoreRelaxed(std::max(goal, HardGoal(inputs_)));
  const uint64_t expected = ExpectedWork();
  expected_work_.StoreRelaxed(expected);
  SetTrigger(TriggerFor({.marked = inputs_.marked,
                         .goal = goal,
                         .least = sweep_floor_,
                         .runway = Runway(cons_mark(), expected)}));
  Revise();
}

void GcPacer::SetTrigger(uint64_t trigger) {
  shown_trigger_.StoreRelaxed(trigger);
  // A thread that compared with the old trigger may still raise the flag: one
  // cycle more.
  const int64_t compared = marking() ? INT64_MAX : AsCounter(trigger);
  trigger_.StoreRelaxed(compared);
  const uint64_t room = marking() ? 0 : SaturatingSub(trigger, heap_live());
  ahead_.StoreRelaxed(AsCounter(std::min(
      room / (kAheadShare * std::max(accounts_, uint64_t{1})), kMostAhead)));
  due_.StoreRelaxed(live_.LoadRelaxed() >= compared);
}

// ---- While a cycle marks.

uint64_t GcPacer::work_done() const {
  uint64_t sum = 0;
  for (const Atomic<uint64_t>& work : work_) {
    sum = SaturatingAdd(sum, work.LoadRelaxed());
  }
  return sum;
}

void GcPacer::Revise() {
  if (!marking()) return;
  const uint64_t expected = expected_work_.LoadRelaxed();
  const uint64_t most =
      SaturatingAdd(NotNegative(scannable_), most_root_work_.LoadRelaxed());
  work_per_byte_.StoreRelaxed(
      WorkPerByte({.live = heap_live(),
                   .goal = goal(),
                   .hard_goal = hard_goal_.LoadRelaxed(),
                   .triggered = triggered_.LoadRelaxed(),
                   .work_done = work_done(),
                   .expected_work = expected,
                   .most_work = std::max(most, expected)}));
}

double GcPacer::bytes_per_work() const {
  const double price = work_per_byte();
  return price > 0 ? 1 / price : 0;
}

bool GcPacer::FractionalMayRun(uint64_t worked, uint64_t now) const {
  const double share = fractional_.LoadRelaxed();
  if (!marking() || share == 0) return false;
  const uint64_t elapsed = SaturatingSub(now, started_.LoadRelaxed());
  return static_cast<double>(worked) <= share * static_cast<double>(elapsed);
}

// ---- The cycle.

MarkWorkers GcPacer::StartCycle(const CycleStart& start) {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(!marking(), "a cycle starts while cycle %u marks", cycle());
  const MarkWorkers workers = MarkWorkersFor(start.processors);
  processors_ = std::max(start.processors, 1);
  globals_ = start.global_bytes;
  for (Atomic<uint64_t>& work : work_) work.StoreRelaxed(0);
  credit_.Clear();
  triggered_.StoreRelaxed(heap_live());
  most_root_work_.StoreRelaxed(
      SaturatingAdd(start.stack_bytes, start.global_bytes));
  started_.StoreRelaxed(start.now);
  fractional_.StoreRelaxed(workers.fractional);
  cycle_.StoreRelaxed(cycle() + 1);
  marking_.StoreRelaxed(true);
  // There is nothing left to sweep for.
  sweep_floor_ = 0;
  Commit();
  return workers;
}

CycleResult GcPacer::Measure(const CycleEnd& end) const {
  CycleResult result{.goal = goal(), .live = heap_live(), .work = work_done()};
  const uint64_t elapsed = SaturatingSub(end.now, started_.LoadRelaxed());
  if (elapsed == 0) return result;
  const double time =
      static_cast<double>(elapsed) * static_cast<double>(processors_);
  result.utilization =
      static_cast<double>(SaturatingAdd(end.background_time, end.assist_time)) /
      time;
  result.cons_mark = ConsMark(
      {.allocated = SaturatingSub(result.live, triggered_.LoadRelaxed()),
       .work = result.work,
       .utilization = result.utilization,
       .idle_utilization = static_cast<double>(end.idle_time) / time});
  return result;
}

// The greatest of the last cycles: a trigger that comes too early costs a
// little, one that comes too late makes every thread assist.
double GcPacer::LearnConsMark(double measured) {
  double greatest = measured;
  for (const double old : history_) greatest = std::max(greatest, old);
  std::copy(history_ + 1, history_ + kHistory, history_);
  history_[kHistory - 1] = measured;
  return greatest;
}

CycleResult GcPacer::EndCycle(const CycleEnd& end) {
  MutexLock lock(mutex_);
  TRICOLOR_CHECK(marking(), "cycle %u ends a second time", cycle());
  const CycleResult result = Measure(end);
  // A cycle in which nothing was allocated says nothing of how fast it will be.
  if (result.cons_mark > 0) {
    cons_mark_.StoreRelaxed(LearnConsMark(result.cons_mark));
  }
  const auto done = [this](ScanWork kind) {
    return work_[static_cast<int>(kind)].LoadRelaxed();
  };
  last_heap_work_ = done(ScanWork::kHeap);
  last_stack_work_ = done(ScanWork::kStacks);
  globals_ = done(ScanWork::kGlobals);
  inputs_.marked = end.marked;
  inputs_.roots = SaturatingAdd(last_stack_work_, globals_);
  inputs_.overhead = end.overhead;
  accounts_ = end.accounts;
  inputs_.allocators =
      std::min(end.allocators, static_cast<uint64_t>(processors_));
  measured_ = true;
  live_.StoreRelaxed(AsCounter(end.marked));
  scannable_.StoreRelaxed(AsCounter(last_heap_work_));
  marking_.StoreRelaxed(false);
  work_per_byte_.StoreRelaxed(0);
  credit_.Clear();
  sweep_floor_ = SaturatingAdd(end.marked, kSweepDistance);
  Commit();
  return result;
}

void GcPacer::SweepDone() {
  MutexLock lock(mutex_);
  if (sweep_floor_ == 0) return;
  sweep_floor_ = 0;
  Commit();
}

void GcPacer::CycleRefused() {
  MutexLock lock(mutex_);
  if (marking()) return;
  const uint64_t live = heap_live();
  const uint64_t retry =
      SaturatingAdd(live, std::max(live / 16, kGrowthToRetry));
  SetTrigger(std::max(trigger(), retry));
}

// ---- Settings.

int GcPacer::SetGcPercent(int percent) {
  MutexLock lock(mutex_);
  const int old = inputs_.gc_percent;
  inputs_.gc_percent = std::max(percent, -1);
  Commit();
  return old;
}

int64_t GcPacer::SetMemoryLimit(int64_t bytes) {
  MutexLock lock(mutex_);
  const int64_t old = inputs_.memory_limit;
  if (bytes < 0) return old;
  inputs_.memory_limit = bytes;
  Commit();
  return old;
}

int64_t GcPacer::memory_limit() const {
  MutexLock lock(mutex_);
  return inputs_.memory_limit;
}

void GcPacer::SetOverhead(uint64_t bytes) {
  MutexLock lock(mutex_);
  inputs_.overhead = bytes;
  measured_ = true;
  Commit();
}

void GcPacer::CheckInvariants() const {
  MutexLock lock(mutex_);
  const double price = work_per_byte();
  if (marking()) {
    TRICOLOR_CHECK(price > 0 && std::isfinite(price),
                   "INV-GC-PACE-3: a byte costs %g", price);
    TRICOLOR_CHECK(trigger_.LoadRelaxed() == INT64_MAX,
                   "INV-GC-PACE-4: trigger %lld while a cycle marks",
                   static_cast<long long>(trigger_.LoadRelaxed()));
    return;
  }
  TRICOLOR_CHECK(price == 0, "INV-GC-PACE-3: a byte costs %g between cycles",
                 price);
  TRICOLOR_CHECK(goal() >= inputs_.marked && hard_goal_.LoadRelaxed() >= goal(),
                 "INV-GC-PACE-2: marked %llu, goal %llu, hard goal %llu",
                 Print(inputs_.marked), Print(goal()),
                 Print(hard_goal_.LoadRelaxed()));
  TRICOLOR_CHECK(trigger() >= inputs_.marked,
                 "INV-GC-PACE-2: marked %llu, trigger %llu",
                 Print(inputs_.marked), Print(trigger()));
}

}  // namespace tricolor::gc
