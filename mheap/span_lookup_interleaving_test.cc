// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The lookup of a suspect address against a span structure that is freed and
// becomes another span, step by step: a model of MSpan::IsHeapSpanAt and of the
// stores of MHeap and MSpan, under every schedule of a few preemptions. The
// reader that does not look at the state twice is the mutant.

#include <cstdint>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tricolor/mheap/schedule_explorer.h"

namespace tricolor::mheap {
namespace {

// A span of ten addresses, of which the last two are in no slot.
struct Life {
  int base;
  bool heap_span;
};
constexpr int kBytes = 10;
constexpr int kSlotBytes = 8;
constexpr int kEnd = 40;

// The structure, and the table that has it or not for each address.
struct Model {
  static constexpr int kDead = 0;
  static constexpr int kInUse = 1;
  static constexpr int kManual = 2;

  bool entries[kEnd] = {};
  int state = kDead;
  int changes = 0;
  int base = 0;
  int limit = 0;

  void SetState(int value) {
    ScheduleExplorer::Step();
    state = value;
    ++changes;
  }
  void SetBounds(int new_base, int new_limit) {
    ScheduleExplorer::Step();
    base = new_base;
    ScheduleExplorer::Step();
    limit = new_limit;
  }
  void SetEntries(int at, bool value) {
    for (int i = 0; i < kBytes; ++i) entries[at + i] = value;
  }
  void Make(Life life) {
    SetBounds(life.base, life.base + kBytes);
    if (life.heap_span) SetBounds(life.base, life.base + kSlotBytes);
    SetState(life.heap_span ? kInUse : kManual);
    ScheduleExplorer::Step();
    SetEntries(life.base, true);
  }
  void Free(Life life) {
    ScheduleExplorer::Step();
    SetEntries(life.base, false);
    SetState(kDead);
  }

  bool Lookup(int address, bool look_twice) const {
    ScheduleExplorer::Step();
    if (!entries[address]) return false;
    ScheduleExplorer::Step();
    const int seen = changes;
    if (state != kInUse) return false;
    ScheduleExplorer::Step();
    const int seen_base = base;
    ScheduleExplorer::Step();
    const int seen_limit = limit;
    ScheduleExplorer::Step();
    return seen_base <= address && address < seen_limit &&
           (!look_twice || changes == seen);
  }
};

class LookupScenario : public Scenario {
 public:
  explicit LookupScenario(bool look_twice) : look_twice_(look_twice) {
    model_.Make(kLives[0]);
  }
  int threads() const override { return 1 + kReaders; }
  void Run(int t) override {
    if (t > 0) {
      found_[t - 1] = model_.Lookup(kAddresses[t - 1], look_twice_);
      return;
    }
    for (int i = 1; i < 3; ++i) {
      model_.Free(kLives[i - 1]);
      model_.Make(kLives[i]);
    }
  }
  std::string Check() override {
    for (int i = 0; i < kReaders; ++i) {
      if (found_[i] && !WasInASlot(kAddresses[i])) {
        return "found at " + std::to_string(kAddresses[i]) +
               ", where there never was a slot";
      }
    }
    return "";
  }

 private:
  static constexpr Life kLives[] = {{0, true}, {20, true}, {5, false}};
  static constexpr int kReaders = 2;
  // Behind the last slot of the first life; within the third, raw memory.
  static constexpr int kAddresses[kReaders] = {9, 12};

  static bool WasInASlot(int address) {
    for (const Life& life : kLives) {
      if (life.heap_span && address >= life.base &&
          address < life.base + kSlotBytes) {
        return true;
      }
    }
    return false;
  }

  const bool look_twice_;
  Model model_;
  bool found_[kReaders] = {};
};

ScheduleExplorer::Factory Lookups(bool look_twice) {
  return [look_twice] { return std::make_unique<LookupScenario>(look_twice); };
}

TEST(SpanLookupInterleavingTest, FindsNoSpanWhereThereNeverWasASlot) {
  const ScheduleExplorer::Result result =
      ScheduleExplorer::Explore(Lookups(true), 3);
  EXPECT_EQ(result.failure, "") << result.Describe();
  EXPECT_GE(result.schedules, 1000u);
}

TEST(SpanLookupInterleavingTest, OneLookAtTheStateMixesTwoLives) {
  const ScheduleExplorer::Result result =
      ScheduleExplorer::Explore(Lookups(false), 2);
  EXPECT_NE(result.failure, "")
      << "not caught in " << result.schedules << " schedules";
  ::testing::Test::RecordProperty("caught_in", result.Describe());
}

}  // namespace
}  // namespace tricolor::mheap
