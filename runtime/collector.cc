// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/collector.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "tricolor/base/saturating.h"
#include "tricolor/base/units.h"
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

Collector::Collector(const CollectorParts& parts,
                     const CollectorOptions& options)
    : parts_(parts),
      options_(options),
      made_at_(SteadyNanoseconds()),
      limiter_(made_at_, options.processors),
      assists_(parts.pacer, limiter_, parts.marker),
      pace_(parts.pacer, limiter_, assists_, parts.marker, parts.world,
            options.processors, options.workers),
      crew_(parts.marker, options.workers),
      scavenge_log_(parts.heap),
      scavenger_(parts.heap,
                 options.trace_scavenging ? &scavenge_log_ : nullptr),
      background_(parts.heap, parts.sweeper, parts.marker, *this) {
  parts_.heap.AttachProcessor(processor_);
  MutexLock lock(mutex_);
  last_cycle_ = made_at_;
  SetScavengeGoals();
}

Collector::~Collector() {
  {
    MutexLock lock(mutex_);
    driver_ending_ = true;
    driver_wakes_.Signal();
  }
  driver_.Join();
  background_.Pause();
  while (parts_.marker.FreeWorkBufSpans(processor_)) {
  }
  parts_.heap.ReleaseProcessor(processor_);
}

// ---- Whose turn it is.

void Collector::BeginTurn() {
  {
    MutexLock lock(mutex_);
    while (turn_taken_) turn_ended_.Wait(mutex_);
    turn_taken_ = true;
  }
  FinishOpenCycle();
}

void Collector::EndTurn() {
  MutexLock lock(mutex_);
  EndTurnLocked();
}

void Collector::EndTurnLocked() {
  turn_taken_ = false;
  brief_ = false;
  turn_ended_.SignalAll();
}

Collector::Turn::Turn(Collector& collector) : collector_(collector) {
  collector_.BeginTurn();
}
Collector::Turn::~Turn() { collector_.EndTurn(); }

bool Collector::BeginVisit() {
  {
    MutexLock lock(mutex_);
    while (turn_taken_ && (!open_to_visits_ || fork_waits_)) {
      turn_ended_.Wait(mutex_);
    }
    if (turn_taken_) {
      ++visits_;
      return false;
    }
    turn_taken_ = true;
  }
  FinishOpenCycle();
  return true;
}

void Collector::EndVisit() {
  MutexLock lock(mutex_);
  if (--visits_ == 0) turn_ended_.SignalAll();
}

void Collector::OpenToVisits() {
  MutexLock lock(mutex_);
  open_to_visits_ = true;
  // Also for those who wait for marking to begin.
  turn_ended_.SignalAll();
}

void Collector::CloseToVisits() {
  MutexLock lock(mutex_);
  open_to_visits_ = false;
  while (visits_ != 0) turn_ended_.Wait(mutex_);
}

Collector::Visit::Visit(Collector& collector) : collector_(collector) {
  if (collector.BeginVisit()) turn_.emplace(collector, Turn::Taken());
}
Collector::Visit::~Visit() {
  if (!turn_.has_value()) collector_.EndVisit();
}

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
  FinishOpenCycle();
  RunCycle(/*forced=*/true);
  SweepEverything();
  // Who asks for a collection may not ask for another one soon: what it has
  // made sparse is open to the background at once.
  parts_.heap.NextScavengeGeneration();
  ReturnMemory();
  MutexLock lock(mutex_);
  full_done_ = full_started_;
  EndTurnLocked();
}

void Collector::CollectIfDue() {
  if (ExpectsBriefCycle() && TryBriefCycle()) return;
  if (!options_.concurrent || !WakeDriver()) {
    ThreadNativeScope native;
    Turn turn(*this);
    if (parts_.pacer.due()) RunCycle(/*forced=*/false);
    return;
  }
  // From the time that a cycle marks, who allocates pays for it: see Assist.
  if (parts_.pacer.heap_live() < parts_.pacer.goal()) return;
  ThreadNativeScope native;
  MutexLock lock(mutex_);
  while (driver_wanted_ && !parts_.pacer.marking()) turn_ended_.Wait(mutex_);
}

bool Collector::TryBriefCycle() {
  ThreadNativeScope native;
  {
    MutexLock lock(mutex_);
    // Another thread is at it, and will stop this one in a moment, unless it
    // has lost its processor.
    while (brief_ && parts_.pacer.outrun()) turn_ended_.Wait(mutex_);
    if (brief_) return true;
    if (turn_taken_ || driver_wanted_ || open_cycle_) return false;
    // It sees to it that cycles come in times of silence, too.
    if (!StartDriver()) return false;
    turn_taken_ = true;
    brief_ = true;
  }
  if (!parts_.pacer.due() || !OpenCycle(/*forced=*/false, /*brief=*/true)) {
    EndTurn();
    return true;
  }
  if (MarkBriefly()) {
    CloseCycle();
    EndTurn();
    return true;
  }
  StartToMark();
  HandOn();
  return true;
}

// ---- The collector's own thread.

bool Collector::StartDriver() {
  if (!driver_.started() && !driver_refused_) {
    driver_refused_ = !driver_.Start("tricolor-gc", &RunDriver, this);
  }
  return !driver_refused_;
}

bool Collector::WakeDriver() {
  MutexLock lock(mutex_);
  if (!StartDriver()) return false;
  if (!driver_wanted_) {
    driver_wanted_ = true;
    driver_wakes_.Signal();
  }
  return true;
}

void Collector::HandOn() {
  MutexLock lock(mutex_);
  handed_on_ = true;
  brief_ = false;
  driver_wakes_.Signal();
  turn_ended_.SignalAll();  // it may be waiting for this turn's end
}

void Collector::RunDriver(void* self) {
  static_cast<Collector*>(self)->DriverLoop();
}

void Collector::DriverLoop() {
  for (;;) {
    switch (AwaitTask()) {
      case DriverTask::kEnd:
        return;
      case DriverTask::kRunCycle:
        if (!FinishOpenCycle()) RunCycle(/*forced=*/false);
        break;
      case DriverTask::kGoOnWithCycle:
        FinishBesideProgram(/*resumed=*/false);
        break;
    }
    MutexLock lock(mutex_);
    // What became due meanwhile asks again at the next slow allocation.
    driver_wanted_ = false;
    EndTurnLocked();
  }
}

Collector::DriverTask Collector::AwaitTask() {
  const uint64_t silence = options_.longest_silence_ns;
  MutexLock lock(mutex_);
  for (;;) {
    if (std::exchange(handed_on_, false)) return DriverTask::kGoOnWithCycle;
    if (driver_ending_) return DriverTask::kEnd;
    const bool silent =
        silence != 0 && SteadyNanoseconds() - last_cycle_ >= silence;
    if ((driver_wanted_ || silent) && !turn_taken_) {
      // Another cycle may have run since the driver was asked for.
      if (silent || open_cycle_ || parts_.pacer.due()) {
        turn_taken_ = true;
        return DriverTask::kRunCycle;
      }
      driver_wanted_ = false;
      turn_ended_.SignalAll();
    } else if (turn_taken_ && (driver_wanted_ || silent)) {
      turn_ended_.Wait(mutex_);
    } else if (silence == 0) {
      driver_wakes_.Wait(mutex_);
    } else {
      driver_wakes_.WaitFor(mutex_, static_cast<int64_t>(last_cycle_ + silence -
                                                         SteadyNanoseconds()));
    }
  }
}

// ---- The cycle.

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

void Collector::SweepEverything() {
  parts_.world.FinishFlush();
  parts_.sweeper.SweepAll(processor_);
  parts_.pacer.SweepDone();
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
                           .old_goal = last_live_,
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
  NoFork no_fork(*this);
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

void Collector::ReadStats(MemStats* stats) const {
  MutexLock lock(mutex_);
  *stats = stats_;
}

}  // namespace tricolor::runtime
