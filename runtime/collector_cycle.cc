// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The steps of a cycle, by whoever has the turn, and its account.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

#include "tricolor/base/saturating.h"
#include "tricolor/base/units.h"
#include "tricolor/runtime/collector.h"
#include "tricolor/runtime/mark_verifier.h"
#include "tricolor/runtime/service_thread.h"

namespace tricolor::runtime {
namespace {

// Sweeping is to be done this much allocation before the next trigger (Go's),
// or a sixteenth of what is allocated until then.
constexpr uint64_t kSweepMargin = 1 << 20;
// What is worth another worker, in live bytes.
constexpr uint64_t kBytesPerWorker = 4 << 20;

void PrintLine(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
}

}  // namespace

void Collector::RunCycle(bool forced) {
  if (!OpenCycle(forced, /*brief=*/false)) return;
  if (!options_.concurrent) return CloseCycle();
  StartToMark();
  FinishBesideProgram(/*resumed=*/false);
}

void Collector::FinishBesideProgram(bool resumed) {
  cycle_.cpu_since = ThreadCpuNanoseconds();
  MarkBesideProgram(resumed);
  StopWorld();
  CloseCycle();
}

bool Collector::OpenCycle(bool forced, bool brief) {
  cycle_ = {};
  CycleRecord& record = cycle_.record;
  record.forced = forced;
  record.heap_at_trigger = parts_.pacer.heap_live();
  record.workers =
      brief ? 1 : WorkersFor(record.heap_at_trigger, crew_.Prepare());
  // Or the stop would flush, and sweep, for each thread that has gone native.
  if (brief) {
    parts_.world.FlushNative();
  } else {
    parts_.world.FinishFlush();
  }
  while (parts_.sweeper.SweepOne(processor_)) {
  }
  // The background may not have come to it.
  ReturnMemory();
  // Nearly all that the stop will have to make sure of: the world still runs.
  if (!parts_.heap.mark_bit_arenas().Reserve()) {
    Refuse();
    return false;
  }
  cycle_.cpu_since = ThreadCpuNanoseconds();
  StopWorld();
  record.heap_at_stop = parts_.pacer.heap_live();
  if (!SweepRest()) {
    parts_.world.Start();
    Refuse();
    return false;
  }
  BeginMark();
  return true;
}

void Collector::StopWorld() {
  cycle_.stop_requested = SteadyNanoseconds();
  parts_.world.Stop();
  cycle_.stopped_at = SteadyNanoseconds();
}

void Collector::StartToMark() {
  parts_.world.Start();
  const uint64_t now = SteadyNanoseconds();
  cycle_.record.first_stop = now - cycle_.stop_requested;
  cycle_.record.first_stopped = now - cycle_.stopped_at;
  CountCpu();
  MutexLock lock(mutex_);
  turn_ended_.SignalAll();  // for those who wait for marking to begin
}

void Collector::CloseCycle() {
  FinishMark();
  CountCpu();
  StartSweep();
  parts_.world.Start();
  const uint64_t now = SteadyNanoseconds();
  cycle_.record.stop = now - cycle_.stop_requested;
  cycle_.record.stopped = now - cycle_.stopped_at;
  CycleEnded();
}

void Collector::CountCpu() {
  const uint64_t now = ThreadCpuNanoseconds();
  cycle_.cpu_ns += now - cycle_.cpu_since;
  cycle_.cpu_since = now;
}

void Collector::CycleEnded() {
  CycleRecord& record = cycle_.record;
  assists_.MarkingDone();
  {
    MutexLock lock(mutex_);
    last_cycle_ = SteadyNanoseconds();
    turn_ended_.SignalAll();
    last_in_use_ = in_use_;
    // Not the goal that it was due at: a cycle that was asked for may have run
    // far below it, and one large object may have taken the heap far beyond.
    last_live_ = ByteCount(record.pace.live);
    SetScavengeGoals();
  }
  if (options_.background_sweep) background_.Wake();
  Account();
  if (options_.trace) PrintLine(FormatCycle(record));
  if (options_.trace_pace) PrintLine(FormatPace(record));
  if (options_.trace_scavenging) scavenge_log_.Print(/*forced=*/false);
}

void Collector::Refuse() {
  parts_.pacer.CycleRefused();
  {
    MutexLock lock(mutex_);
    ++stats_.num_gc_refused;
    last_cycle_ = SteadyNanoseconds();
  }
  if (!options_.trace) return;
  PrintLine(FormatRefusal(SteadyNanoseconds() - made_at_,
                          parts_.pacer.heap_live(), cycle_.record.forced));
}

// As much is live as after the last cycle or, when there was none yet, perhaps
// half of what there is. With the world stopped, all processors are free.
int Collector::WorkersFor(uint64_t heap_live, int present) const {
  if (!options_.adapt_workers) return present;
  const uint64_t live = std::max(last_marked_, heap_live / 2);
  const uint64_t worth = 1 + live / kBytesPerWorker;
  const int useful = options_.concurrent ? pace_.Workers() : present;
  return static_cast<int>(
      std::min(worth, static_cast<uint64_t>(std::min(useful, present))));
}

// Afterwards every span is swept, the cycle's sweep has its mark bits, and no
// cache has an unused slot that a conservative marker would take for an object.
bool Collector::SweepRest() {
  parts_.world.ForEachProcessor(
      [](Processor& p) { p.cache().PrepareForSweep(); });
  parts_.sweeper.SweepAll(processor_);
  if (!parts_.heap.mark_bit_arenas().Rotate()) return false;
  parts_.world.ForEachProcessor([](Processor& p) {
    p.cache().ParkRuns();
    p.SettleLive();
  });
  return true;
}

void Collector::BeginMark() {
  const uint64_t now = SteadyNanoseconds();
  const gc::MarkWorkers share =
      parts_.pacer.StartCycle({.now = now,
                               .processors = options_.processors,
                               .stack_bytes = parts_.world.StackBytes()});
  pace_.Begin(share, now);
  parts_.marker.BeginCycle(parts_.root_set, {.workers = cycle_.record.workers,
                                             .concurrent = options_.concurrent,
                                             .monitor = &pace_});
  if (!options_.concurrent) pace_.Hurry();
  parts_.roots.BeginMarking();
  parts_.world.BeginMarking();
  // Ranges have no barrier: what is in them now must be marked even if it is
  // gone before anybody looks again.
  MutexLock lock(parts_.roots.mutex());
  cycle_.record.range_words = parts_.root_set.ShadeRanges();
}

// What the worker leaves is marked by the rounds beside the program.
bool Collector::MarkBriefly() {
  if (parts_.world.StackBytes() > options_.brief_bytes) return false;
  parts_.world.ShadeAllStopped();
  {
    MutexLock roots_stay(parts_.roots.mutex());
    parts_.roots.PublishGrey();
  }
  pace_.BeginBrief(options_.brief_bytes);
  cycle_.cpu_ns += crew_.Run(1);
  if (!pace_.EndBrief()) return true;
  parts_.marker.NextRound(1);
  return false;
}

// The first handshake is what the stacks are scanned in.
void Collector::MarkBesideProgram(bool resumed) {
  OpenToVisits();
  SetMayRest(true);
  ShadeBesideProgram();
  if (resumed) parts_.marker.NextRound(cycle_.record.workers);
  for (;;) {
    parts_.marker.CloseAssists(false);
    cycle_.cpu_ns += crew_.Run(cycle_.record.workers);
    if (!RestForFork() && !parts_.marker.HasWork() && !ShadeBesideProgram()) {
      break;
    }
    parts_.marker.NextRound(cycle_.record.workers);
  }
  SetMayRest(false);
  CloseToVisits();
  CountCpu();
}

bool Collector::ShadeBesideProgram() {
  // Relaxed: a thread sees it at the latest when it sees its poll bit, for both
  // are set before the world's mutex is given up, under which it answers.
  parts_.marker.CloseAssists(true);
  parts_.world.ShadeAll();
  MutexLock lock(parts_.roots.mutex());
  parts_.roots.PublishGrey();
  return parts_.marker.HasWork();
}

void Collector::FinishMark() {
  CycleRecord& record = cycle_.record;
  pace_.Hurry();
  parts_.world.ShadeAllStopped();
  {
    MutexLock roots_stay(parts_.roots.mutex());
    record.range_words = parts_.root_set.ShadeRanges();
    parts_.roots.PublishGrey();
    if (!options_.concurrent) {
      cycle_.cpu_ns += crew_.Run(record.workers);
    } else if (parts_.marker.HasWork()) {
      // Little, for the last handshake found nothing.
      parts_.marker.NextRound(record.workers);
      cycle_.cpu_ns += crew_.Run(record.workers);
    }
    parts_.roots.EndMarking();
  }
  if (options_.check_marks) CheckMarks();
  const World::Allocated allocated = parts_.world.EndMarking();
  record.allocated = allocated.black_bytes;
  cycle_.allocators = allocated.processors;
  record.mark = parts_.marker.EndCycle();
  last_marked_ = record.mark.marked_bytes + record.allocated;
  parts_.pacer.AddWork(gc::ScanWork::kStacks,
                       parts_.world.stack_words() * sizeof(uint64_t));
  parts_.pacer.AddWork(gc::ScanWork::kGlobals,
                       record.range_words * sizeof(uint64_t));
}

// A stack that was scanned while the program ran may since have grown over
// words that an earlier call had left there, of objects that were dead by then.
void Collector::CheckMarks() {
  MarkVerifier verifier(parts_.heap);
  if (!options_.concurrent) parts_.world.ReadStacks(verifier);
  MutexLock lock(parts_.roots.mutex());
  parts_.root_set.ForEachRange(
      [&verifier](AddrRange range) { ReadUnsynchronized(range, verifier); });
  for (const RootBlock* b = parts_.roots.blocks(); b != nullptr; b = b->next) {
    RootTable::ForEachPointer(
        *b, [&verifier](const void* pointer) { verifier.AddRoot(pointer); });
  }
  parts_.root_set.AddFinalizersTo(verifier);
  verifier.Verify();
}

void Collector::StartSweep() {
  parts_.sweeper.StartPhase();
  parts_.world.RequestFlush();
  parts_.heap.NextScavengeGeneration();
  // At its peak: before work buffers are given back.
  const mheap::HeapStats stats = parts_.heap.ReadStats();
  const ByteCount in_spans(static_cast<uint64_t>(stats.heap_span_bytes));
  in_use_ =
      in_spans + ByteCount(static_cast<uint64_t>(stats.manual_span_bytes));
  const uint64_t now = SteadyNanoseconds();
  const uint64_t idle = pace_.End(cycle_.cpu_ns, now);
  cycle_.record.pace =
      parts_.pacer.EndCycle({.now = now,
                             .background_time = cycle_.cpu_ns - idle,
                             .assist_time = assists_.TakeTime(),
                             .idle_time = idle,
                             .marked = last_marked_,
                             .overhead = Overhead(stats),
                             .accounts = parts_.world.mutator_count(),
                             .allocators = cycle_.allocators});
  cycle_.record.goal = parts_.pacer.goal();
  const uint64_t distance = SaturatingSub(parts_.pacer.trigger(), last_marked_);
  parts_.sweeper.SetPace(
      ByteCount(distance - std::min(distance / 16, kSweepMargin)),
      PagesIn(in_spans));
}

uint64_t Collector::Overhead(const mheap::HeapStats& stats) const {
  const auto free = static_cast<uint64_t>(stats.free_bytes);
  return gc::OverheadOf(
      {.held = parts_.heap.metadata().bytes_from_os().value() +
               static_cast<uint64_t>(stats.heap_span_bytes +
                                     stats.manual_span_bytes) +
               free,
       .free_pages = free,
       .objects = stats.object_bytes()},
      parts_.pacer.memory_limit());
}

// ---- Its account.

void Collector::Account() {
  CycleRecord& record = cycle_.record;
  MutexLock lock(mutex_);
  MemStats& s = stats_;
  const uint64_t now = UnixNanoseconds();
  const uint64_t stops = record.first_stop + record.stop;
  s.pause_ns[s.num_gc % MemStats::kPauses] = stops;
  s.pause_end_ns[s.num_gc % MemStats::kPauses] = now;
  s.pause_total_ns += stops;
  s.pause_max_ns = std::max({s.pause_max_ns, record.first_stop, record.stop});
  if (record.first_stop != 0) {
    s.pauses.Add(record.first_stop);
    s.stopped.Add(record.first_stopped);
  }
  s.pauses.Add(record.stop);
  s.stopped.Add(record.stopped);
  s.last_gc_ns = now;
  ++s.num_gc;
  if (record.forced) ++s.num_forced_gc;
  s.gc_cpu_ns += cycle_.cpu_ns;
  s.last_gc_heap_before = record.heap_at_stop;
  s.last_gc_heap_after = record.mark.marked_bytes + record.allocated;
  s.last_gc_objects = record.mark.marked_objects;
  s.last_gc_scanned = record.mark.scanned_bytes;
  record.number = s.num_gc;
  record.since_start = SteadyNanoseconds() - made_at_;
  record.total_cpu = s.gc_cpu_ns;
  record.machine_time =
      record.since_start * static_cast<uint64_t>(options_.processors);
}

}  // namespace tricolor::runtime
