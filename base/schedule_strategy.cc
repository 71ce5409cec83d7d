// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/schedule_strategy.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "tricolor/base/check.h"

namespace tricolor::schedule {

// ---- BoundedSearch.

bool BoundedSearch::Begin(uint64_t) {
  position_ = 0;
  if (!begun_) return begun_ = true;
  while (!choices_.empty()) {
    Choice& last = choices_.back();
    if (++last.chosen < last.options) return true;
    choices_.pop_back();
  }
  return std::exchange(incomplete_, false);
}

// What is repeated is the same whatever has been learned meanwhile.
bool BoundedSearch::IsChoice(uint64_t step, bool matters) {
  if (position_ == choices_.size()) return matters;
  return step == choices_[position_].step;
}

int BoundedSearch::Choose(const ChoicePoint& point) {
  // Of those that can go on without a preemption; of all if one more may be.
  int options = point.count;
  if (point.ready > 0 && point.preemptions >= bound_) {
    options = point.can_go_on ? 1 : point.ready;
  }
  if (options == 1) return 0;
  if (position_ == choices_.size())
    choices_.push_back({options, 0, point.step});
  const Choice& choice = choices_[position_++];
  TRICOLOR_CHECK(choice.options == options && choice.step == point.step,
                 "choice %zu is of %d at step %llu, and was of %d at step %llu "
                 "before: the scenario depends on more than its schedule",
                 position_, options,
                 static_cast<unsigned long long>(point.step), choice.options,
                 static_cast<unsigned long long>(choice.step));
  return choice.chosen;
}

// ---- RandomChoices.

int RandomChoices::Choose(const ChoicePoint& point) {
  // A time that runs out while others could go on is rare.
  constexpr uint64_t kSoon = 32;
  const bool all = point.ready == 0 || random_() % kSoon == 0;
  return static_cast<int>(
      random_() % static_cast<uint64_t>(all ? point.count : point.ready));
}

// ---- RandomPriorities.

bool RandomPriorities::Begin(uint64_t longest) {
  if (left_-- == 0) return false;
  // Above those that are set by changes and by yielding.
  for (int64_t& priority : priorities_) {
    priority = static_cast<int64_t>(random_() >> 2);
  }
  lowest_ = 0;
  changes_.clear();
  for (int i = 1; i < depth_; ++i) changes_.push_back(random_() % longest);
  return true;
}

int RandomPriorities::Choose(const ChoicePoint& point) {
  const bool changes =
      std::find(changes_.begin(), changes_.end(), point.step) != changes_.end();
  if (point.current >= 0 && (changes || point.has_yielded)) {
    priorities_[point.current] = --lowest_;
  }
  // A change may also be that somebody's time runs out.
  const bool late = changes && random_() % 2 == 0;
  const int count = late || point.ready == 0 ? point.count : point.ready;
  int best = 0;
  for (int i = 1; i < count; ++i) {
    if (priorities_[point.options[i]] > priorities_[point.options[best]]) {
      best = i;
    }
  }
  return best;
}

// ---- Guided.

Guided::Turns Guided::TurnsOf(const Schedule& schedule) {
  Turns turns;
  for (const uint8_t thread : schedule) {
    if (turns.empty() || turns.back().first != thread) {
      turns.emplace_back(thread, 0);
    }
    ++turns.back().second;
  }
  return turns;
}

int Guided::Choose(const ChoicePoint& point) {
  for (; turn_ < turns_.size(); ++turn_) {
    auto& [thread, steps] = turns_[turn_];
    if (steps == 0) continue;
    const uint8_t* end = point.options + point.count;
    const uint8_t* found = std::find(point.options, end, thread);
    if (found == end) continue;
    --steps;
    return static_cast<int>(found - point.options);
  }
  return 0;
}

// ---- Repeated.

int Repeated::Choose(const ChoicePoint& point) {
  const uint8_t* end = point.options + point.count;
  const uint8_t* found =
      point.step < schedule_.size()
          ? std::find(point.options, end, schedule_[point.step])
          : end;
  TRICOLOR_CHECK(found != end,
                 "step %llu of %zu cannot be repeated: the scenario depends on "
                 "more than its schedule",
                 static_cast<unsigned long long>(point.step), schedule_.size());
  return static_cast<int>(found - point.options);
}

}  // namespace tricolor::schedule
