// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// LfStack itself under every schedule of a few preemptions. Each thread owns
// what it has popped, so that a node which two threads get, or which is lost,
// is seen.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/check.h"
#include "tricolor/base/lf_stack.h"
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_testing.h"

namespace tricolor {
namespace {

struct alignas(LfStack::kNodeAlignment) Node : LfNode {
  bool on_stack = false;  // of whoever owns the node
};

// '-' pops and keeps; '+' pushes what was popped last or one of its own, '^'
// what was popped before that.
class StackScenario final : public schedule::Scenario {
 public:
  StackScenario(std::vector<std::string> programs, size_t on_stack)
      : programs_(std::move(programs)),
        nodes_(on_stack + 8 * programs_.size()),
        owned_(programs_.size()) {
    for (size_t i = 0; i < on_stack; ++i) Push(&nodes_[i]);
    for (size_t i = on_stack; i < nodes_.size(); ++i) {
      owned_[(i - on_stack) / 8].push_back(&nodes_[i]);
    }
  }

  int threads() const override { return static_cast<int>(programs_.size()); }

  void Run(int t) override {
    std::vector<Node*>& owned = owned_[static_cast<size_t>(t)];
    for (const char operation : programs_[static_cast<size_t>(t)]) {
      if (operation != '-') {
        if (operation == '^') std::swap(owned.back(), owned.end()[-2]);
        Push(owned.back());
        owned.pop_back();
      } else if (auto* node = static_cast<Node*>(stack_.Pop())) {
        TRICOLOR_CHECK(node->on_stack, "a node is popped twice");
        node->on_stack = false;
        owned.push_back(node);
      } else {
        schedule::Witness(0);
      }
    }
  }

  std::string Check() override {
    const uint64_t left = stack_.CheckInvariants();
    uint64_t expected = nodes_.size();
    for (const auto& owned : owned_) expected -= owned.size();
    return left == expected ? "" : "a node is lost";
  }

 private:
  void Push(Node* node) {
    node->on_stack = true;
    stack_.Push(node);
  }

  const std::vector<std::string> programs_;
  std::vector<Node> nodes_;
  std::vector<std::vector<Node*>> owned_;
  LfStack stack_;
};

schedule::Result ExploreGood(std::vector<std::string> programs, size_t on_stack,
                             int preemptions, uint64_t at_least) {
  return schedule::ExploreGood(
      [&] { return std::make_unique<StackScenario>(programs, on_stack); },
      preemptions, at_least);
}

TEST(LfStackScheduleTest, TwoThreadsUnderEverySchedule) {
  constexpr int kAll = 1000;
  ExploreGood({"-", "-"}, 2, kAll, 20);
  ExploreGood({"+", "+"}, 0, kAll, 20);
  ExploreGood({"-", "--^"}, 2, kAll, 500);
}

// One thread has read a node and its link; another pops the node and the next
// and pushes the first again.
TEST(LfStackScheduleTest, ALinkThatIsOutOfDateIsNotUsed) {
  ExploreGood({"--^", "--^"}, 3, 4, 1000);
  ExploreGood({"-+", "-+", "-+"}, 2, 3, 1000);
}

TEST(LfStackScheduleTest, APopOfTheLastNodeMeetsAPush) {
  const schedule::Result result = ExploreGood({"-+-", "-+-", "-"}, 1, 3, 1000);
  EXPECT_GT(result.witnessed[0], 0u);  // the stack was empty
}

}  // namespace
}  // namespace tricolor
