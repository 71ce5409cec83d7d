// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// How the next thread is chosen at each step of a schedule, and when there are
// no more schedules. For the scheduler; see schedule.h. Thread-compatible.

#ifndef TRICOLOR_BASE_SCHEDULE_STRATEGY_H_
#define TRICOLOR_BASE_SCHEDULE_STRATEGY_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "tricolor/base/schedule.h"

namespace tricolor::schedule {

struct ChoicePoint {
  uint64_t step = 0;
  int current = -1;          // who has run until now; -1: nobody
  bool can_go_on = false;    // it could: then it is the first option
  bool has_yielded = false;  // it has just said that it waits for others
  int preemptions = 0;       // so far
  // Those that can go on, then those that could if their time ran out.
  uint8_t options[kMaxThreads] = {};
  int ready = 0;
  int count = 0;

  bool IsPreemption(int option) const {
    return ready > 0 && (option >= ready || (can_go_on && option != 0));
  }
};

class Strategy {
 public:
  virtual ~Strategy() = default;
  // Before each schedule; `longest` is the number of steps of the longest one
  // so far. False: there are no more.
  virtual bool Begin(uint64_t longest) = 0;
  // An index into the options.
  virtual int Choose(const ChoicePoint& point) = 0;
  // Whether choices are offered only at some steps: then, which. `matters`: it
  // could make a difference to another thread, by what has been seen so far.
  virtual bool is_selective() const { return false; }
  virtual bool IsChoice(uint64_t /*step*/, bool /*matters*/) { return true; }
  // After a schedule in which more steps were found to matter than were known.
  virtual void NoteMoreMatter() {}
  // After Begin: whether a search begins, again perhaps, and schedules are to
  // be counted from here.
  virtual bool BeginsSearch() const { return false; }
};

// Depth first; and all again when it has been found on the way that there are
// more choices than were known.
class BoundedSearch final : public Strategy {
 public:
  explicit BoundedSearch(int preemptions) : bound_(preemptions) {}
  bool Begin(uint64_t longest) override;
  int Choose(const ChoicePoint& point) override;
  bool is_selective() const override { return true; }
  bool IsChoice(uint64_t step, bool matters) override;
  void NoteMoreMatter() override { incomplete_ = true; }
  bool BeginsSearch() const override { return choices_.empty(); }

 private:
  struct Choice {
    int options;
    int chosen;
    uint64_t step;
  };
  const int bound_;
  bool begun_ = false;
  bool incomplete_ = false;
  std::vector<Choice> choices_;
  size_t position_ = 0;
};

class RandomChoices final : public Strategy {
 public:
  RandomChoices(uint64_t seed, uint64_t schedules)
      : random_(seed), left_(schedules) {}
  bool Begin(uint64_t) override { return left_-- != 0; }
  int Choose(const ChoicePoint& point) override;

 private:
  std::mt19937_64 random_;
  uint64_t left_;
};

class RandomPriorities final : public Strategy {
 public:
  RandomPriorities(uint64_t seed, uint64_t schedules, int depth)
      : random_(seed), left_(schedules), depth_(depth) {}
  bool Begin(uint64_t longest) override;
  int Choose(const ChoicePoint& point) override;

 private:
  std::mt19937_64 random_;
  uint64_t left_;
  const int depth_;
  std::vector<uint64_t> changes_;
  int64_t priorities_[kMaxThreads] = {};
  int64_t lowest_ = 0;
};

// Runs each thread of the list for its number of steps or until it must wait;
// then, and at the end of the list, whoever is the first option.
class Guided final : public Strategy {
 public:
  using Turns = std::vector<std::pair<uint8_t, uint64_t>>;

  explicit Guided(Turns turns) : turns_(std::move(turns)) {}
  static Turns TurnsOf(const Schedule& schedule);
  bool Begin(uint64_t) override { return !std::exchange(begun_, true); }
  int Choose(const ChoicePoint& point) override;

 private:
  Turns turns_;
  size_t turn_ = 0;
  bool begun_ = false;
};

// Just this schedule.
class Repeated final : public Strategy {
 public:
  explicit Repeated(const Schedule& schedule) : schedule_(schedule) {}
  bool Begin(uint64_t) override { return !std::exchange(begun_, true); }
  int Choose(const ChoicePoint& point) override;

 private:
  const Schedule& schedule_;
  bool begun_ = false;
};

}  // namespace tricolor::schedule

#endif  // TRICOLOR_BASE_SCHEDULE_STRATEGY_H_
