// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/assists.h"

#include <algorithm>
#include <cstdint>

#include "tricolor/runtime/service_thread.h"

namespace tricolor::runtime {
namespace {

// Who waits for credit looks again after this long.
constexpr int64_t kNapNanoseconds = 200'000;

}  // namespace

void Assists::Pay(MutatorContext& context) {
  gc::AssistAccount& account = context.processor->account();
  // A cycle that was asked for may have no goal that the heap could outrun.
  while (pacer_.marking() && pacer_.goal() != gc::kNoGoal) {
    // Forgets what belongs to another cycle.
    account.Charge(0, pacer_.cycle());
    if (account.debt() == 0 && !pacer_.outrun()) return;
    const uint64_t now = SteadyNanoseconds();
    if (limiter_.NeedsUpdate(now)) limiter_.Update(now);
    if (limiter_.limiting()) return;
    pacer_.Revise();
    const uint64_t owed = pacer_.BeginAssist(account);
    if (owed == 0 && !pacer_.outrun()) return;
    const uint64_t done = Mark(context, std::max(owed, gc::kOverAssist));
    pacer_.FinishAssist(account, done);
    if (account.debt() == 0 && !pacer_.outrun()) return;
    if (ThreadIsPolled()) {
      World::PollThread();
    } else if (done == 0) {
      AwaitCredit();
    }
  }
}

uint64_t Assists::Mark(MutatorContext& context, uint64_t owed) {
  const uint64_t start = SteadyNanoseconds();
  uint64_t done = 0;
  while (done < owed && !ThreadIsPolled() && !limiter_.limiting()) {
    const uint64_t scanned =
        marker_.Assist(context.processor->assistant(), kSlice);
    if (scanned == 0) break;
    pacer_.AddWork(gc::ScanWork::kHeap, scanned);
    done += scanned;
  }
  const uint64_t time = SteadyNanoseconds() - start;
  time_.FetchAddRelaxed(time);
  limiter_.AddAssistTime(time);
  return done;
}

// Marking ends, and credit comes, without this thread: it is native.
void Assists::AwaitCredit() {
  ThreadNativeScope native;
  MutexLock lock(mutex_);
  waiting_.FetchAddRelaxed(1);
  marker_.SetAssistsStarve(true);
  if (pacer_.marking() &&
      (pacer_.credit().available() == 0 || pacer_.outrun())) {
    credit_added_.WaitFor(mutex_, kNapNanoseconds);
  }
  if (waiting_.FetchSubRelaxed(1) == 1) marker_.SetAssistsStarve(false);
}

void Assists::ResetAfterFork() {
  credit_added_.ResetAfterFork();
  waiting_.StoreRelaxed(0);
  marker_.SetAssistsStarve(false);
}

void Assists::WakeAll() {
  MutexLock lock(mutex_);
  credit_added_.SignalAll();
}

}  // namespace tricolor::runtime
