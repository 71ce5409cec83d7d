// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/pacer_simulation.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tricolor::gc {
namespace {

constexpr uint64_t kSpan = 8192;
constexpr double kBytesPerNs = 1024.0 / 1e6;  // a KiB in a ms
// Steps that a cycle would have if only the background marked.
constexpr double kSteps = 400;

uint64_t ToUint(double value) { return static_cast<uint64_t>(value); }
double ToDouble(uint64_t value) { return static_cast<double>(value); }

}  // namespace

PacerSimulation::PacerSimulation(const PacerSettings& settings,
                                 const SimulatedProgram& program)
    : program_(program),
      pacer_(settings),
      limiter_(0, program.processors),
      threads_(static_cast<size_t>(program.processors)),
      live_(program.live) {
  pacer_.SetOverhead(program.overhead);
}

std::vector<SimulatedCycle> PacerSimulation::Run(int cycles) {
  std::vector<SimulatedCycle> all;
  for (int i = 0; i < cycles; ++i) all.push_back(RunCycle());
  return all;
}

void PacerSimulation::Pass(double ns) {
  now_ += ns;
  machine_time_ += ns * program_.processors;
  if (limiter_.NeedsUpdate(ToUint(now_))) limiter_.Update(ToUint(now_));
}

void PacerSimulation::Grow(uint64_t bytes) {
  const auto n = static_cast<int64_t>(bytes);
  pacer_.HeapLiveChanged(
      n, static_cast<int64_t>(ToDouble(bytes) * program_.scannable(cycle_)));
}

// All processors allocate.
void PacerSimulation::MutateUntilDue() {
  const double rate = alloc_rate_ * program_.processors;
  if (pacer_.due()) return;
  const uint64_t distance =
      (pacer_.trigger() - pacer_.heap_live() + kSpan - 1) / kSpan * kSpan;
  double ns = ToDouble(distance) / rate;
  for (; ns > 1e6; ns -= 1e6) Pass(1e6);
  Pass(ns);
  Grow(distance);
}

uint64_t PacerSimulation::Mark(double work) {
  uint64_t todo = ToUint(work);
  uint64_t done = 0;
  for (const ScanWork kind :
       {ScanWork::kStacks, ScanWork::kGlobals, ScanWork::kHeap}) {
    uint64_t& left = left_[static_cast<int>(kind)];
    const uint64_t n = std::min(left, todo);
    left -= n;
    todo -= n;
    done += n;
    pacer_.AddWork(kind, n);
  }
  return done;
}

void PacerSimulation::Allocate(Thread& thread) {
  thread.time -= ToDouble(kSpan) / alloc_rate_;
  Grow(kSpan);
  black_ += kSpan;
  pacer_.Revise();
  thread.account.Charge(kSpan, pacer_.cycle());
  if (thread.account.debt() == 0 || limiter_.limiting()) return;
  thread.owed = pacer_.BeginAssist(thread.account);
  thread.assisted = 0;
}

void PacerSimulation::Assist(Thread& thread) {
  const double most = std::max(thread.time * scan_rate_, 1.0);
  const uint64_t done = Mark(std::min(ToDouble(thread.owed), most));
  const double ns = ToDouble(done) / scan_rate_;
  thread.time -= ns;
  assist_time_ += ns;
  limiter_.AddAssistTime(ToUint(ns));
  thread.assisted += done;
  thread.owed -= done;
  if (done != 0 && thread.owed != 0 && !limiter_.limiting()) return;
  // Done, or there is nothing left to mark, or it shall not.
  pacer_.FinishAssist(thread.account, thread.assisted);
  thread.owed = 0;
}

void PacerSimulation::RunThread(Thread& thread) {
  while (thread.time > 0) {
    if (thread.owed != 0) {
      Assist(thread);
    } else {
      Allocate(thread);
    }
  }
}

// What the cycle will find, and starts with.
MarkWorkers PacerSimulation::StartCycle() {
  live_ = ToUint(ToDouble(live_) * program_.growth(cycle_));
  const auto stacks = ToUint(program_.stacks(cycle_));
  left_[static_cast<int>(ScanWork::kHeap)] =
      ToUint(ToDouble(live_) * program_.scannable(cycle_));
  left_[static_cast<int>(ScanWork::kStacks)] = stacks;
  left_[static_cast<int>(ScanWork::kGlobals)] = program_.globals;
  assist_time_ = 0;
  black_ = 0;
  for (Thread& thread : threads_) thread = Thread();
  return pacer_.StartCycle({.now = ToUint(now_),
                            .processors = program_.processors,
                            .stack_bytes = stacks,
                            .global_bytes = program_.globals});
}

// Everybody runs until nothing is left to mark; whether the limiter intervened.
bool PacerSimulation::MarkAll(double background) {
  const double processors = program_.processors;
  limiter_.SetBackgroundShare(ToUint(now_), background / processors);
  const double step =
      ToDouble(work_left()) / (background * scan_rate_) / kSteps;
  bool limited = false;
  while (work_left() != 0) {
    pacer_.credit().Add(Mark(background * step * scan_rate_ + 1));
    for (Thread& thread : threads_) {
      thread.time += step * (processors - background) / processors;
      RunThread(thread);
    }
    Pass(step);
    limited |= limiter_.limiting();
  }
  limiter_.SetBackgroundShare(ToUint(now_), 0);
  return limited;
}

SimulatedCycle PacerSimulation::RunCycle() {
  alloc_rate_ = program_.alloc_rate(cycle_) * kBytesPerNs;
  scan_rate_ = program_.scan_rate(cycle_) * kBytesPerNs;
  SimulatedCycle result;
  result.marked_before = pacer_.heap_live();
  MutateUntilDue();
  result.trigger = pacer_.trigger();
  const double start = now_;
  const MarkWorkers workers = StartCycle();
  const double background = workers.dedicated + workers.fractional;
  result.limited = MarkAll(background);

  const double elapsed = now_ - start;
  const CycleResult end =
      pacer_.EndCycle({.now = ToUint(now_),
                       .background_time = ToUint(background * elapsed),
                       .assist_time = ToUint(assist_time_),
                       .marked = live_ + black_,
                       .overhead = program_.overhead});
  pacer_.CheckInvariants();
  limiter_.CheckInvariants();
  pacer_.SweepDone();
  collection_time_ += background * elapsed + assist_time_;
  result.goal = end.goal;
  result.peak = end.live;
  result.live = live_;
  result.utilization = end.utilization;
  result.assists = assist_time_ / (elapsed * program_.processors);
  result.duration = elapsed / 1e6;
  ++cycle_;
  return result;
}

}  // namespace tricolor::gc
