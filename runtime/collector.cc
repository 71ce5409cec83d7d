// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/collector.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>

#include "tricolor/base/units.h"
#include "tricolor/runtime/service_thread.h"

namespace tricolor::runtime {
namespace {

// Sweeping is to be done this much allocation before the next trigger (Go's).
constexpr uint64_t kSweepMargin = 1 << 20;
// What is worth another worker, in live bytes.
constexpr uint64_t kBytesPerWorker = 4 << 20;

uint64_t Cpus() { return std::max(1U, std::thread::hardware_concurrency()); }

void PrintLine(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
}

}  // namespace

Collector::Collector(const CollectorParts& parts,
                     const CollectorOptions& options)
    : parts_(parts),
      options_(options),
      made_at_(SteadyNanoseconds()),
      crew_(parts.marker, options.workers),
      scavenge_log_(parts.heap),
      scavenger_(parts.heap,
                 options.trace_scavenging ? &scavenge_log_ : nullptr),
      background_(parts.heap, parts.sweeper, parts.marker, *this) {
  parts_.heap.AttachProcessor(processor_);
  MutexLock lock(mutex_);
  SetScavengeGoals();
}

Collector::~Collector() {
  background_.Pause();
  while (parts_.marker.FreeWorkBufSpans(processor_)) {
  }
  parts_.heap.ReleaseProcessor(processor_);
}

// ---- Whose turn it is.

void Collector::BeginTurn() {
  MutexLock lock(mutex_);
  while (turn_taken_) turn_ended_.Wait(mutex_);
  turn_taken_ = true;
}

void Collector::EndTurn() {
  MutexLock lock(mutex_);
  turn_taken_ = false;
  turn_ended_.SignalAll();
}

Collector::Turn::Turn(Collector& collector) : collector_(collector) {
  collector_.BeginTurn();
}
Collector::Turn::~Turn() { collector_.EndTurn(); }

void Collector::Collect() {
  ThreadNativeScope native;
  {
    MutexLock lock(mutex_);
    // One that has started may have passed by what is garbage now.
    const uint64_t wanted = full_started_ + 1;
    while (turn_taken_ && full_done_ < wanted) turn_ended_.Wait(mutex_);
    if (full_done_ >= wanted) return;
    turn_taken_ = true;
    ++full_started_;
  }
  RunCycle(/*forced=*/true);
  SweepEverything();
  // Who asks for a collection may not ask for another one soon: what it has
  // made sparse is open to the background at once.
  parts_.heap.NextScavengeGeneration();
  ReturnMemory();
  MutexLock lock(mutex_);
  full_done_ = full_started_;
  turn_taken_ = false;
  turn_ended_.SignalAll();
}

void Collector::CollectIfDue() {
  ThreadNativeScope native;
  Turn turn(*this);
  if (parts_.pacer.due()) RunCycle(/*forced=*/false);
}

// ---- The cycle.

void Collector::RunCycle(bool forced) {
  CycleRecord record;
  record.forced = forced;
  record.heap_at_trigger = parts_.pacer.heap_live();
  record.workers = WorkersFor(record.heap_at_trigger, crew_.Prepare());
  while (parts_.sweeper.SweepOne(processor_)) {
  }
  // The background may not have come to it.
  ReturnMemory();
  // Nearly all that the stop will have to make sure of: the world still runs.
  if (!parts_.heap.mark_bit_arenas().Reserve()) {
    Refuse(record);
    return;
  }

  const ByteCount goal_before(parts_.pacer.goal());
  const uint64_t requested = SteadyNanoseconds();
  const uint64_t cpu_before = ThreadCpuNanoseconds();
  parts_.world.Stop();
  record.heap_at_stop = parts_.pacer.heap_live();
  if (!SweepRest()) {
    parts_.world.Start();
    Refuse(record);
    return;
  }
  const uint64_t others_cpu = Mark(&record);
  StartSweep(&record);
  const uint64_t cpu = ThreadCpuNanoseconds() - cpu_before + others_cpu;
  parts_.world.Start();
  record.stop = SteadyNanoseconds() - requested;

  {
    MutexLock lock(mutex_);
    last_in_use_ = in_use_;
    // A cycle that was asked for may have run far below its goal.
    last_goal_ = std::min(goal_before, ByteCount(record.heap_at_stop));
    SetScavengeGoals();
  }
  if (options_.background_sweep) background_.Wake();
  Account(&record, cpu);
  if (options_.trace) PrintLine(FormatCycle(record));
  if (options_.trace_scavenging) scavenge_log_.Print(/*forced=*/false);
}

void Collector::Refuse(const CycleRecord& record) {
  parts_.pacer.CycleRefused();
  {
    MutexLock lock(mutex_);
    ++stats_.num_gc_refused;
  }
  if (!options_.trace) return;
  PrintLine(FormatRefusal(SteadyNanoseconds() - made_at_,
                          parts_.pacer.heap_live(), record.forced));
}

// As much is live as after the last cycle or, when there was none yet, perhaps
// half of what there is.
int Collector::WorkersFor(uint64_t heap_live, int present) const {
  if (!options_.adapt_workers) return present;
  const uint64_t live = std::max(last_marked_, heap_live / 2);
  const uint64_t worth = 1 + live / kBytesPerWorker;
  return static_cast<int>(std::min(worth, static_cast<uint64_t>(present)));
}

// Afterwards every span is swept, the cycle's sweep has its mark bits, and no
// cache has an unused slot that a conservative marker would take for an object.
bool Collector::SweepRest() {
  parts_.world.ForEachProcessor(
      [](Processor& p) { p.cache().PrepareForSweep(); });
  parts_.sweeper.SweepAll(processor_);
  if (!parts_.heap.mark_bit_arenas().Rotate()) return false;
  parts_.world.ForEachProcessor([](Processor& p) { p.cache().ParkRuns(); });
  return true;
}

uint64_t Collector::Mark(CycleRecord* record) {
  parts_.root_set.ListStacks();
  // Threads in native code must leave the Roots as they are meanwhile.
  MutexLock roots_stay(parts_.roots.mutex());
  parts_.marker.BeginCycle(parts_.root_set, record->workers);
  const uint64_t others_cpu = crew_.Run(record->workers);
  record->mark = parts_.marker.EndCycle();
  last_marked_ = record->mark.marked_bytes;
  return others_cpu;
}

void Collector::StartSweep(CycleRecord* record) {
  parts_.sweeper.StartPhase();
  parts_.world.RequestFlush();
  parts_.heap.NextScavengeGeneration();
  const gc::MarkStats& mark = record->mark;
  // At its peak: before work buffers are given back.
  const mheap::HeapStats stats = parts_.heap.ReadStats();
  const auto work_bufs = static_cast<uint64_t>(stats.manual_span_bytes);
  const ByteCount in_spans(static_cast<uint64_t>(stats.heap_span_bytes));
  in_use_ = in_spans + ByteCount(work_bufs);
  const uint64_t overhead =
      parts_.heap.metadata().bytes_from_os().value() + work_bufs;
  parts_.pacer.CycleDone(mark.marked_bytes, mark.root_words * sizeof(uint64_t),
                         overhead);
  record->goal = parts_.pacer.goal();
  const uint64_t distance = record->goal - mark.marked_bytes;
  parts_.sweeper.SetPace(
      ByteCount(distance > 2 * kSweepMargin ? distance - kSweepMargin
                                            : distance / 2),
      PagesIn(in_spans));
}

void Collector::SweepEverything() {
  parts_.world.FinishFlush();
  parts_.sweeper.SweepAll(processor_);
  while (parts_.marker.FreeWorkBufSpans(processor_)) {
  }
  parts_.heap.FlushPageCache(processor_);
}

void Collector::FinishSweep(const Turn&) {
  SweepEverything();
  ReturnMemory();
}

void Collector::PauseBackground(const Turn&) {
  background_.Pause();
  scavenger_.Pause();
}

void Collector::ResumeBackground(const Turn&) {
  scavenger_.Resume();
  background_.Resume();
}

// ---- Memory back to the OS.

void Collector::SetScavengeGoals() {
  const int64_t limit = parts_.pacer.memory_limit();
  mheap::ScavengeGoals goals;
  if (limit != INT64_MAX) goals.limit = ByteCount(static_cast<uint64_t>(limit));
  goals.retained =
      mheap::RetainedGoal({.in_use = last_in_use_,
                           .ready = parts_.heap.ready(),
                           .old_goal = last_goal_,
                           .new_goal = ByteCount(parts_.pacer.goal()),
                           .os_page = parts_.heap.os().page_size()});
  parts_.heap.SetScavengeGoals(goals);
}

void Collector::GoalsChanged() {
  {
    MutexLock lock(mutex_);
    SetScavengeGoals();
  }
  ThreadNativeScope native;  // the system takes its time
  ReturnMemory();
}

// The background keeps below the goals at its own pace, and what is beyond the
// limit itself goes back at once. Without it, all that is beyond the limit's
// target does.
void Collector::ReturnMemory() {
  parts_.heap.JoinDenseChunks();
  const bool in_background =
      options_.background_scavenge &&
      (parts_.heap.ScavengeExcess() == ByteCount(0) || scavenger_.Wake());
  parts_.heap.ScavengeToLimit(/*with_margin=*/!in_background);
}

// ---- Statistics.

void Collector::Account(CycleRecord* record, uint64_t cpu) {
  MutexLock lock(mutex_);
  MemStats& s = stats_;
  const uint64_t now = UnixNanoseconds();
  s.pause_ns[s.num_gc % MemStats::kPauses] = record->stop;
  s.pause_end_ns[s.num_gc % MemStats::kPauses] = now;
  s.pause_total_ns += record->stop;
  s.pause_max_ns = std::max(s.pause_max_ns, record->stop);
  s.last_gc_ns = now;
  ++s.num_gc;
  if (record->forced) ++s.num_forced_gc;
  s.gc_cpu_ns += cpu;
  s.last_gc_heap_before = record->heap_at_stop;
  s.last_gc_heap_after = record->mark.marked_bytes;
  s.last_gc_objects = record->mark.marked_objects;
  s.last_gc_scanned = record->mark.scanned_bytes;
  record->number = s.num_gc;
  record->since_start = SteadyNanoseconds() - made_at_;
  record->total_cpu = s.gc_cpu_ns;
  record->machine_time = record->since_start * Cpus();
}

void Collector::ReadStats(MemStats* stats) const {
  MutexLock lock(mutex_);
  *stats = stats_;
}

}  // namespace tricolor::runtime
