// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/schedule_runner.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/debugging/stacktrace.h"
#include "tricolor/base/check.h"

namespace tricolor::schedule {
namespace {

// A step takes this long by the clock of scheduled threads.
constexpr int64_t kStepNs = 100;
// Spinning of all threads that does not end is a failure; some spin a few
// hundred times before they do something else.
constexpr int kMaxIdleRounds = 2000;
// A thread that waits for something that is not scheduled hangs.
constexpr unsigned kPatienceSeconds = 60;

}  // namespace

// ---- Conflicts.

bool Conflicts::Note(StepKind kind, const void* object, int thread) {
  if (object == nullptr) return true;
  size_t at = reinterpret_cast<uintptr_t>(object) * 0x9e3779b97f4a7c15 >> 48;
  static_assert(kEntries == size_t{1} << (64 - 48));
  while (entries_[at].object != object && entries_[at].object != nullptr) {
    at = (at + 1) % kEntries;
  }
  Entry& entry = entries_[at];
  if (entry.object == nullptr) {
    TRICOLOR_CHECK(++used_ < kEntries / 2,
                   "the schedules of a scenario use too many addresses");
    entry.object = object;
  }
  const bool before = entry.conflicts();
  entry.users |= uint32_t{1} << thread;
  entry.written |= Writes(kind);
  grown_ |= entry.conflicts() && !before;
  return entry.conflicts();
}

// ---- Turn.

void Turn::Give() {
  given_.store(1, std::memory_order_release);
  syscall(SYS_futex, &given_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void Turn::Await() {
  while (given_.exchange(0, std::memory_order_acquire) == 0) {
    syscall(SYS_futex, &given_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
  }
}

// ---- A schedule.

void Runner::RunOnce(const Factory& factory, Strategy& strategy) {
  strategy_ = &strategy;
  alarm(kPatienceSeconds);
  report_.steps = 0;
  report_.preemptions = 0;
  now_ = 1;
  idle_rounds_ = 0;
  objects_.clear();
  const std::unique_ptr<Scenario> scenario = factory();
  scenario_ = scenario.get();
  count_ = scenario->threads();
  TRICOLOR_CHECK(count_ > 0 && count_ <= kMaxThreads, "%d threads", count_);
  for (int i = 0; i < kMaxThreads; ++i) {
    Thread& thread = threads_[i];
    thread.state = i < count_ ? State::kReady : State::kNone;
    thread.object = nullptr;
    if (i >= count_ || thread.pooled) continue;
    thread.pooled = true;
    thread.runner = this;
    const int error =
        pthread_create(&thread.pthread, nullptr, &PoolMain, &thread);
    TRICOLOR_CHECK(error == 0, "no thread for a scenario: error %d", error);
  }
  current_ = -1;
  Pass(false);
  done_.Await();
  report_.longest = std::max(report_.longest, report_.steps);
  const std::string failure = scenario->Check();
  if (!failure.empty()) Fail(failure.c_str());
  if (conflicts_.TakeGrown()) strategy.NoteMoreMatter();
}

// Threads are kept from one schedule to the next. They end with the process.
void* Runner::PoolMain(void* argument) {
  Thread& thread = *static_cast<Thread*>(argument);
  Runner& runner = *thread.runner;
  for (;;) {
    thread.turn.Await();
    hooks = &runner;
    runner.Note(StepKind::kStart, nullptr);
    runner.scenario_->Run(runner.IndexOf(thread));
    runner.End();
  }
}

void Runner::Fail(const char* what) {
  std::snprintf(report_.failure, sizeof report_.failure, "%s", what);
  _exit(1);
}

void Runner::FailStuck(const char* what) {
  std::string text = what;
  for (int i = 0; i < count_; ++i) {
    const Thread& thread = threads_[i];
    const char* state = "is ready";
    if (thread.state == State::kBlocked) state = "is blocked";
    if (thread.state == State::kYielding) state = "yields";
    if (thread.state == State::kEnded) state = "has ended";
    char line[80];
    std::snprintf(line, sizeof line, "; thread %d %s since step %llu", i, state,
                  static_cast<unsigned long long>(thread.since));
    text += line;
  }
  Fail(text.c_str());
}

// ---- Choices.

void Runner::AddOptions(ChoicePoint& point) const {
  // From the running thread on, so that option 0 does not preempt it.
  const int first = std::max(current_, 0);
  for (int i = 0; i < count_; ++i) {
    const int t = (first + i) % count_;
    if (threads_[t].state != State::kReady) continue;
    point.options[point.count++] = static_cast<uint8_t>(t);
  }
  point.ready = point.count;
  point.can_go_on = current_ >= 0 && threads_[current_].state == State::kReady;
  for (int i = 0; i < count_; ++i) {
    const Thread& thread = threads_[i];
    if (thread.state != State::kBlocked || thread.deadline == kNoLimit) {
      continue;
    }
    point.options[point.count++] = static_cast<uint8_t>(i);
  }
  // With nobody ready, time passes until the first of them is.
  std::sort(point.options + point.ready, point.options + point.count,
            [this](uint8_t a, uint8_t b) {
              return threads_[a].deadline < threads_[b].deadline;
            });
  if (point.ready == 0) point.count = std::min(point.count, 1);
}

void Runner::LetYieldingGoOn() {
  for (int i = 0; i < count_; ++i) {
    Thread& thread = threads_[i];
    if (thread.state == State::kYielding) thread.state = State::kReady;
  }
}

void Runner::NoteWritten() {
  LetYieldingGoOn();
  idle_rounds_ = 0;
}

void Runner::Pass(bool has_yielded) {
  ChoicePoint point;
  point.step = report_.steps;
  point.current = current_;
  point.has_yielded = has_yielded;
  point.preemptions = report_.preemptions;
  AddOptions(point);
  if (point.count == 0) {
    LetYieldingGoOn();
    AddOptions(point);
    if (point.count == 0) FailStuck("deadlock");
    if (++idle_rounds_ > kMaxIdleRounds) {
      FailStuck("livelock: all wait for what nobody writes");
    }
    // No choice: which of them looks first changes nothing.
    point.ready = point.count = 1;
  }
  const int option = strategy_->Choose(point);
  const int next = point.options[option];
  if (point.IsPreemption(option)) ++report_.preemptions;
  Run(next);
}

void Runner::Run(int next) {
  if (report_.steps == kMaxSteps) FailStuck("too many steps");
  report_.schedule[report_.steps++] = static_cast<uint8_t>(next);
  now_ += kStepNs;
  Thread& thread = threads_[next];
  if (thread.state == State::kBlocked) {
    now_ = std::max(now_, thread.deadline);
    thread.in_time = false;
    thread.state = State::kReady;
  }
  const int before = current_;
  if (next == before) return;
  current_ = next;
  Thread* own = before < 0 ? nullptr : &threads_[before];
  const bool ended = own == nullptr || own->state == State::kEnded;
  thread.turn.Give();
  if (!ended) own->turn.Await();
}

void Runner::Step(StepKind kind, const void* object) {
  // The thread's own earlier step is done now, and others may see its effect.
  if (!strategy_->is_selective() ||
      strategy_->IsChoice(report_.steps,
                          conflicts_.Note(kind, object, current_))) {
    Pass(false);
  } else {
    Run(current_);
  }
  if (Writes(kind)) NoteWritten();
  Note(kind, object);
}

void Runner::Yield() {
  current().state = State::kYielding;
  current().since = report_.steps;
  Pass(true);
  Note(StepKind::kYield, nullptr);
}

bool Runner::Block(const void* object, int64_t nanoseconds) {
  Thread& thread = current();
  thread.state = State::kBlocked;
  thread.object = object;
  thread.since = report_.steps;
  thread.in_time = true;
  thread.deadline = kNoLimit;
  if (nanoseconds != kNoLimit) {
    // A quarter of the range keeps the sum from overflowing.
    thread.deadline = now_ + std::clamp(nanoseconds, int64_t{0}, INT64_MAX / 4);
  }
  Pass(false);
  thread.object = nullptr;
  Note(StepKind::kWait, object);
  return thread.in_time;
}

void Runner::Wake(const void* object, bool all) {
  NoteWritten();
  for (;;) {
    Thread* longest = nullptr;
    for (int i = 0; i < count_; ++i) {
      Thread& thread = threads_[i];
      if (thread.state != State::kBlocked || thread.object != object) continue;
      if (longest == nullptr || thread.since < longest->since) {
        longest = &thread;
      }
    }
    if (longest == nullptr) return;
    longest->state = State::kReady;
    if (!all) return;
  }
}

// ---- Threads that others make.

int Runner::Spawn() {
  Step(StepKind::kSpawn, nullptr);
  TRICOLOR_CHECK(count_ < kMaxThreads, "%d threads are too many", count_);
  Thread& thread = threads_[count_];
  thread.state = State::kReady;
  return count_++;
}

void Runner::Begin(int index) {
  threads_[index].turn.Await();
  hooks = this;
  Note(StepKind::kStart, nullptr);
}

void Runner::End() {
  Thread& thread = current();
  Wake(&thread, true);
  hooks = nullptr;
  thread.state = State::kEnded;
  thread.since = report_.steps;
  for (int i = 0; i < count_; ++i) {
    if (threads_[i].state != State::kEnded) return Pass(false);
  }
  done_.Give();
}

void Runner::AwaitEnd(int index) {
  Thread& thread = threads_[index];
  Step(StepKind::kJoin, &thread);
  while (thread.state != State::kEnded) Block(&thread, kNoLimit);
}

// ---- Traces.

void Runner::Note(StepKind kind, const void* object) {
  // Of the step that the choice before was of.
  const uint64_t step = report_.steps - 1;
  if (!report_.traced || step >= Report::kTraced) return;
  TracedStep& traced = report_.trace[step];
  traced.kind = kind;
  traced.object = 0;
  if (object != nullptr) {
    const auto number = static_cast<uint32_t>(objects_.size() + 1);
    traced.object = objects_.emplace(object, number).first->second;
  }
  void* places[TracedStep::kPlaces] = {};
  absl::GetStackTrace(places, TracedStep::kPlaces, 1);
  std::copy_n(places, TracedStep::kPlaces, traced.places);
}

}  // namespace tricolor::schedule
