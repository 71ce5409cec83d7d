// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/schedule_explorer.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tricolor/base/check.h"

namespace tricolor::mheap {
namespace {

// A scenario's threads make far fewer steps than this.
constexpr uint64_t kMaxSteps = 100000;

struct Self {
  ScheduleExplorer* explorer = nullptr;
  int thread = -1;
};
thread_local Self self;

}  // namespace

std::string ScheduleExplorer::Result::Describe() const {
  std::string text =
      failure + " in schedule " + std::to_string(schedules) + ", threads";
  for (int t : schedule) text += " " + std::to_string(t);
  return text;
}

ScheduleExplorer::Result ScheduleExplorer::Explore(const Factory& factory,
                                                   int preemptions) {
  ScheduleExplorer explorer(factory, preemptions, nullptr);
  Result result;
  while (explorer.RunOnce(result) && explorer.Next()) {
  }
  return result;
}

ScheduleExplorer::Result ScheduleExplorer::Sample(const Factory& factory,
                                                  uint64_t seed,
                                                  uint64_t runs) {
  std::mt19937_64 random(seed);
  ScheduleExplorer explorer(factory, INT32_MAX, &random);
  Result result;
  while (result.schedules < runs && explorer.RunOnce(result)) {
    explorer.choices_.clear();
  }
  return result;
}

bool ScheduleExplorer::RunOnce(Result& result) {
  position_ = 0;
  used_preemptions_ = 0;
  stuck_ = false;
  schedule_.clear();
  scenario_.reset();
  scenario_ = factory_();
  // All are there before the first one runs and looks for the others.
  threads_.clear();
  const int count = scenario_->threads();
  for (int t = 0; t < count; ++t) {
    threads_.push_back(std::make_unique<Thread>());
  }
  for (int t = 0; t < count; ++t) {
    threads_[static_cast<size_t>(t)]->thread =
        std::thread([this, t] { ThreadMain(t); });
  }
  threads_[static_cast<size_t>(PickNext(-1))]->turn.release();
  done_.acquire();
  for (auto& thread : threads_) thread->thread.join();
  ++result.schedules;
  result.failure = scenario_->Check();
  if (result.failure.empty()) return true;
  result.schedule = schedule_;
  return false;
}

bool ScheduleExplorer::Next() {
  while (!choices_.empty()) {
    Choice& last = choices_.back();
    if (++last.chosen < last.options) return true;
    choices_.pop_back();
  }
  return false;
}

void ScheduleExplorer::ThreadMain(int t) {
  self = {this, t};
  threads_[static_cast<size_t>(t)]->turn.acquire();
  scenario_->Run(t);
  threads_[static_cast<size_t>(t)]->finished = true;
  for (auto& thread : threads_) thread->waiting = false;
  const int next = PickNext(t);
  if (next < 0) {
    done_.release();
  } else {
    threads_[static_cast<size_t>(next)]->turn.release();
  }
}

int ScheduleExplorer::PickNext(int current) {
  // The running thread comes first, so that choice 0 does not preempt it.
  std::vector<int> ready;
  std::vector<int> waiting;
  const int count = static_cast<int>(threads_.size());
  for (int i = 0; i < count; ++i) {
    const int t = (current < 0 ? i : (current + i) % count);
    const Thread& thread = *threads_[static_cast<size_t>(t)];
    if (thread.finished) continue;
    (thread.waiting ? waiting : ready).push_back(t);
  }
  if (ready.empty()) {
    if (waiting.empty()) return -1;
    stuck_ = true;
    ready = waiting;
  }
  const bool can_go_on = ready.front() == current;
  const bool bound = can_go_on && used_preemptions_ >= preemptions_;
  const int choice = Choose(bound ? 1 : static_cast<int>(ready.size()));
  if (can_go_on && choice != 0) ++used_preemptions_;
  const int next = ready[static_cast<size_t>(choice)];
  schedule_.push_back(next);
  TRICOLOR_CHECK(schedule_.size() < kMaxSteps,
                 "a scenario made %zu steps; stuck: %d", schedule_.size(),
                 static_cast<int>(stuck_));
  return next;
}

int ScheduleExplorer::Choose(int options) {
  if (position_ == choices_.size()) {
    int chosen = 0;
    if (random_ != nullptr) {
      chosen = static_cast<int>((*random_)() % static_cast<uint64_t>(options));
    }
    choices_.push_back({options, chosen});
  }
  const Choice& choice = choices_[position_++];
  TRICOLOR_CHECK(choice.options == options,
                 "step %zu has %d choices in this run, had %d before: the "
                 "scenario depends on more than its schedule",
                 position_, options, choice.options);
  return choice.chosen;
}

void ScheduleExplorer::Yield(int t) {
  const int next = PickNext(t);
  if (next == t) return;
  threads_[static_cast<size_t>(next)]->turn.release();
  threads_[static_cast<size_t>(t)]->turn.acquire();
}

void ScheduleExplorer::Step() {
  ScheduleExplorer* explorer = self.explorer;
  if (explorer == nullptr) return;
  for (auto& thread : explorer->threads_) thread->waiting = false;
  explorer->Yield(self.thread);
}

void ScheduleExplorer::Wait() {
  ScheduleExplorer* explorer = self.explorer;
  if (explorer == nullptr) {
    std::this_thread::yield();
    return;
  }
  explorer->threads_[static_cast<size_t>(self.thread)]->waiting = true;
  explorer->Yield(self.thread);
}

bool ScheduleExplorer::Stuck() {
  return self.explorer == nullptr || self.explorer->stuck_;
}

}  // namespace tricolor::mheap
