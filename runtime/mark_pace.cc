// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/mark_pace.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

#include "tricolor/base/saturating.h"
#include "tricolor/runtime/service_thread.h"

namespace tricolor::runtime {
namespace {

constexpr uint64_t kAskInterval = 1'000'000;
constexpr std::chrono::microseconds kNap{100};

}  // namespace

int MarkPace::Workers() const {
  const gc::MarkWorkers share = gc::MarkWorkersFor(processors_);
  const int background = share.dedicated + (share.fractional > 0 ? 1 : 0);
  const int unused = processors_ - static_cast<int>(world_.CountManaged());
  return std::max({background, unused, 1});
}

void MarkPace::Begin(const gc::MarkWorkers& workers, uint64_t now) {
  share_ = workers;
  started_ = now;
  std::fill(cpu_at_start_.begin(), cpu_at_start_.end(), 0);
  free_asked_at_.StoreRelaxed(0);
  hurry_.StoreRelaxed(false);
  limiter_.SetBackgroundShare(
      now, (share_.dedicated + share_.fractional) / processors_);
}

void MarkPace::BeginBrief(uint64_t bytes) {
  brief_ = true;
  brief_left_ = bytes;
}

bool MarkPace::EndBrief() {
  brief_ = false;
  marker_.SetPausing(false);
  return brief_left_ == 0;
}

void MarkPace::ResetAfterFork() {
  std::fill(cpu_at_start_.begin(), cpu_at_start_.end(), 0);
}

uint64_t MarkPace::End(uint64_t cpu_ns, uint64_t now) {
  limiter_.SetBackgroundShare(now, 0);
  const double share = share_.dedicated + share_.fractional;
  const auto background =
      static_cast<uint64_t>(share * static_cast<double>(now - started_));
  const uint64_t idle = SaturatingSub(cpu_ns, background);
  limiter_.AddIdleTime(idle);
  return idle;
}

int MarkPace::Free(uint64_t now) {
  if (now - free_asked_at_.LoadRelaxed() >= kAskInterval) {
    free_asked_at_.StoreRelaxed(now);
    free_.StoreRelaxed(processors_ - static_cast<int>(world_.CountManaged()));
  }
  return free_.LoadRelaxed();
}

bool MarkPace::MayGoOn(int index, uint64_t now) {
  if (hurry_.LoadRelaxed()) return true;
  if (index < std::max(share_.dedicated, Free(now))) return true;
  if (index != share_.dedicated) return false;
  const uint64_t cpu = ThreadCpuNanoseconds();
  uint64_t& at_start = cpu_at_start_[static_cast<size_t>(index)];
  if (at_start == 0) at_start = cpu;
  return pacer_.FractionalMayRun(cpu - at_start, now);
}

bool MarkPace::Worked(int index, uint64_t bytes) {
  if (bytes != 0) {
    pacer_.AddWork(gc::ScanWork::kHeap, bytes);
    pacer_.credit().Add(bytes);
    pacer_.Revise();
    assists_.CreditAdded();
  }
  if (brief_) {
    brief_left_ = SaturatingSub(brief_left_, bytes);
    if (brief_left_ == 0) marker_.SetPausing(true);
    return true;
  }
  const uint64_t now = SteadyNanoseconds();
  if (limiter_.NeedsUpdate(now)) limiter_.Update(now);
  return MayGoOn(index, now);
}

bool MarkPace::Rest(int index) {
  std::this_thread::sleep_for(kNap);
  return MayGoOn(index, SteadyNanoseconds());
}

}  // namespace tricolor::runtime
