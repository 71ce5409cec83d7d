// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/collector.h"

#include <cstdint>
#include <utility>

#include "tricolor/base/units.h"
#include "tricolor/runtime/service_thread.h"

namespace tricolor::runtime {

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

// ---- In a turn.

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

void Collector::ReadStats(MemStats* stats) const {
  MutexLock lock(mutex_);
  *stats = stats_;
}

}  // namespace tricolor::runtime
