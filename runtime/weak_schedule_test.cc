// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Weak::Get while a cycle finds the object dead and its slot is swept and used
// again, under every schedule of a few preemptions.

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tricolor/base/check.h"
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_testing.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/schedule_testing.h"

namespace tricolor::runtime {
namespace {

struct Plan {
  int getters = 1;      // threads that get
  bool kept = false;    // a Root holds the object all the time
  bool marked = false;  // the cycle has marked: the rest of it is to sweep
};

class WeakScenario final : public schedule::Scenario {
 public:
  explicit WeakScenario(const Plan& plan)
      : getters_(plan.getters), kept_(plan.kept), marked_(plan.marked) {
    {
      Mutator mutator(heap_);
      Node* node = mutator.New<Node>(uint64_t{1});
      weak_ = Weak<Node>(node);
      if (kept_) root_ = Root<Node>(node);
      if (marked_) mutator.New<Large>();  // garbage enough for a cycle
    }
    core().mheap().AttachProcessor(pages_);
    if (marked_) Mark();
  }
  ~WeakScenario() override { core().mheap().ReleaseProcessor(pages_); }

  int threads() const override { return getters_ + 1; }

  void Run(int t) override {
    if (t == getters_) return CollectAndReuse();
    Mutator mutator(heap_);
    const Root<Node> first(mutator, Get());
    mutator.Safepoint();
    Node* second = Get();
    TRICOLOR_CHECK(first == nullptr || first.get() == second,
                   "a weak pointer loses an object that is held");
    TRICOLOR_CHECK(first != nullptr || second == nullptr,
                   "a weak pointer comes back");
    TRICOLOR_CHECK(!kept_ || second != nullptr,
                   "a weak pointer loses an object that a Root holds");
  }

  std::string Check() override {
    heap_.CheckInvariants();
    return "";
  }

 private:
  Node* Get() {
    Node* node = weak_.Get();
    schedule::Witness(node == nullptr ? 1 : 0);
    TRICOLOR_CHECK(node == nullptr || (node->intact() && node->value == 1),
                   "a weak pointer to an object that is gone");
    return node;
  }

  HeapCore& core() { return heap_.core(); }

  // A cycle without its sweep, which nobody does in the background.
  void Mark() {
    heap_.SetGcPercent(1);
    core().collector().CollectIfDue();
    heap_.SetGcPercent(-1);
    TRICOLOR_CHECK(!core().sweeper().Done(), "nothing is left to sweep");
  }

  void CollectAndReuse() {
    if (marked_) {
      core().sweeper().SweepAll(pages_);
    } else {
      heap_.Collect();
    }
    Mutator mutator(heap_);
    for (uint64_t i = 2; i < 5; ++i) mutator.New<Node>(i);
  }

  const int getters_;
  const bool kept_;
  const bool marked_;
  Heap heap_{ScheduledOptions()};
  mheap::ProcessorCache pages_;
  Weak<Node> weak_;
  Root<Node> root_;
};

schedule::Factory Of(const Plan& plan) {
  return [=] { return std::make_unique<WeakScenario>(plan); };
}

TEST(WeakScheduleTest, GetsTheObjectOrNothingWhileItIsSwept) {
  const schedule::Result result =
      schedule::ExploreGood(Of({.marked = true}), 1, 50);
  EXPECT_GT(result.witnessed[1], 0u);  // found it dead
}

TEST(WeakScheduleTest, GetsWhatIsHeldWhileItIsSwept) {
  schedule::ExploreGood(Of({.kept = true, .marked = true}), 1, 50);
}

TEST(WeakScheduleTest, GettersAndAWholeCycleUnderRandomPriorities) {
  schedule::PctGood(Of({.getters = 1}), 1, 300);
  schedule::PctGood(Of({.getters = 2}), 1, 300);
  schedule::PctGood(Of({.getters = 2, .kept = true}), 2, 100);
}

}  // namespace
}  // namespace tricolor::runtime
