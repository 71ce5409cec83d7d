// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The lookup of a suspect address against a span structure that is freed and
// becomes another span, step by step: a model of MSpan::IsHeapSpanAt and of the
// stores of MHeap and MSpan, under every schedule of a few preemptions. The
// reader that does not look at the state twice is the mutant.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

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

  // Sets *suspicious when the state was that of a heap span at first.
  bool Lookup(int address, bool look_twice, bool* suspicious) const {
    ScheduleExplorer::Step();
    if (!entries[address]) return false;
    ScheduleExplorer::Step();
    const int seen = changes;
    if (state != kInUse) return false;
    *suspicious = true;
    ScheduleExplorer::Step();
    const int seen_base = base;
    ScheduleExplorer::Step();
    const int seen_limit = limit;
    ScheduleExplorer::Step();
    return seen_base <= address && address < seen_limit &&
           (!look_twice || changes == seen);
  }
};

// The lives of the structure, and an address behind the last slot of the first.
struct Case {
  std::vector<Life> lives;
  int address;

  bool WasInASlot() const {
    for (const Life& life : lives) {
      if (life.heap_span && address >= life.base &&
          address < life.base + kSlotBytes) {
        return true;
      }
    }
    return false;
  }
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const int address : {8, 9}) {
    cases.push_back({{{0, true}, {20, true}, {5, false}}, address});
    cases.push_back({{{0, true}, {20, false}}, address});
  }
  return cases;
}

class LookupScenario : public Scenario {
 public:
  // Sets *suspicious when the lookup got as far as to compare.
  LookupScenario(const Case& of, bool look_twice, bool* suspicious)
      : case_(of), look_twice_(look_twice), suspicious_(suspicious) {
    model_.Make(case_.lives[0]);
  }
  int threads() const override { return 2; }
  void Run(int t) override {
    if (t == 1) {
      found_ = model_.Lookup(case_.address, look_twice_, suspicious_);
      return;
    }
    for (size_t i = 1; i < case_.lives.size(); ++i) {
      model_.Free(case_.lives[i - 1]);
      model_.Make(case_.lives[i]);
    }
  }
  std::string Check() override {
    if (!found_ || case_.WasInASlot()) return "";
    return "found at " + std::to_string(case_.address) +
           ", where there never was a slot";
  }

 private:
  const Case& case_;
  const bool look_twice_;
  bool* const suspicious_;
  Model model_;
  bool found_ = false;
};

TEST(SpanLookupInterleavingTest, FindsNoSpanWhereThereNeverWasASlot) {
  for (const Case& c : Cases()) {
    bool suspicious = false;
    const ScheduleExplorer::Result result = ScheduleExplorer::Explore(
        [&c, &suspicious] {
          return std::make_unique<LookupScenario>(c, true, &suspicious);
        },
        4);
    EXPECT_EQ(result.failure, "") << result.Describe();
    EXPECT_GE(result.schedules, 100u);
    EXPECT_TRUE(suspicious) << "at " << c.address;
  }
}

TEST(SpanLookupInterleavingTest, OneLookAtTheStateMixesTwoLives) {
  for (const Case& c : Cases()) {
    bool suspicious = false;
    const ScheduleExplorer::Result result = ScheduleExplorer::Explore(
        [&c, &suspicious] {
          return std::make_unique<LookupScenario>(c, false, &suspicious);
        },
        2);
    EXPECT_NE(result.failure, "")
        << c.address << ", " << c.lives.size() << " lives: not caught in "
        << result.schedules << " schedules";
    ::testing::Test::RecordProperty("caught_in", result.Describe());
  }
}

}  // namespace
}  // namespace tricolor::mheap
