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
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_hooks.h"

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
    schedule::Step();
    state = value;
    ++changes;
  }
  void SetBounds(int new_base, int new_limit) {
    schedule::Step();
    base = new_base;
    schedule::Step();
    limit = new_limit;
  }
  void SetEntries(int at, bool value) {
    for (int i = 0; i < kBytes; ++i) entries[at + i] = value;
  }
  void Make(Life life) {
    SetBounds(life.base, life.base + kBytes);
    if (life.heap_span) SetBounds(life.base, life.base + kSlotBytes);
    SetState(life.heap_span ? kInUse : kManual);
    schedule::Step();
    SetEntries(life.base, true);
  }
  void Free(Life life) {
    schedule::Step();
    SetEntries(life.base, false);
    SetState(kDead);
  }

  // Witnesses that the state was that of a heap span at first.
  bool Lookup(int address, bool look_twice) const {
    schedule::Step();
    if (!entries[address]) return false;
    schedule::Step();
    const int seen = changes;
    if (state != kInUse) return false;
    schedule::Witness(0);
    schedule::Step();
    const int seen_base = base;
    schedule::Step();
    const int seen_limit = limit;
    schedule::Step();
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

class LookupScenario : public schedule::Scenario {
 public:
  LookupScenario(const Case& of, bool look_twice)
      : case_(of), look_twice_(look_twice) {
    model_.Make(case_.lives[0]);
  }
  int threads() const override { return 2; }
  void Run(int t) override {
    if (t == 1) {
      found_ = model_.Lookup(case_.address, look_twice_);
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
  Model model_;
  bool found_ = false;
};

TEST(SpanLookupInterleavingTest, FindsNoSpanWhereThereNeverWasASlot) {
  for (const Case& c : Cases()) {
    const schedule::Result result = schedule::Explore(
        [&c] { return std::make_unique<LookupScenario>(c, true); }, 4);
    EXPECT_EQ(result.failure, "") << result.Describe();
    EXPECT_GE(result.schedules, 100u);
    EXPECT_GT(result.witnessed[0], 0u) << "at " << c.address;
  }
}

TEST(SpanLookupInterleavingTest, OneLookAtTheStateMixesTwoLives) {
  for (const Case& c : Cases()) {
    const schedule::Result result = schedule::Explore(
        [&c] { return std::make_unique<LookupScenario>(c, false); }, 2);
    EXPECT_NE(result.failure, "")
        << c.address << ", " << c.lives.size() << " lives: not caught in "
        << result.schedules << " schedules";
    ::testing::Test::RecordProperty("caught_in", result.Describe());
  }
}

}  // namespace
}  // namespace tricolor::mheap
