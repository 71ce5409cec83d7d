// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What does not wait for the end of a cycle that marks: the marker stands still
// meanwhile (marking_testing.h).

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/mcache/allocation_sampler.h"
#include "tricolor/runtime/collector.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/marking_testing.h"

namespace tricolor::runtime {
namespace {

class BesideMarkingTest : public testing::Test {
 protected:
  BesideMarkingTest() : paused_(/*conservative_stacks=*/false) {
    OnOtherThread([this] {
      Mutator mutator(heap());
      object_ = mutator.New<Node>(uint64_t{1});
      hidden_.Set(mutator.New<Node>(uint64_t{2}));
      hidden_.Get()->next = mutator.New<Node>(uint64_t{3});
    });
  }
  Heap& heap() { return paused_.heap(); }

  // Whether the call comes back while the marker stands still.
  bool ReturnsWhileMarkingIsPaused(const std::function<void()>& call) {
    std::atomic<bool> returned{false};
    std::thread caller;
    bool in_time = false;
    {
      PausedMarking pause(heap());
      caller = std::thread([&] {
        call();
        returned = true;
      });
      in_time = Eventually([&] { return returned.load(); });
      EXPECT_TRUE(GateKeeper::paused());
      EXPECT_TRUE(heap().core().pacer().marking());
    }
    caller.join();
    return in_time;
  }

  PausedHeap paused_;
  Root<Node> object_;
  HiddenNode hidden_;
};

TEST_F(BesideMarkingTest, StatisticsAreRead) {
  const MemStats before = heap().ReadMemStats();
  MemStats stats;
  EXPECT_TRUE(
      ReturnsWhileMarkingIsPaused([&] { stats = heap().ReadMemStats(); }));
  EXPECT_EQ(stats.heap_objects, before.heap_objects);
  EXPECT_EQ(stats.num_gc, before.num_gc);
}

TEST_F(BesideMarkingTest, StatisticsAreReadByManagedThreads) {
  EXPECT_TRUE(ReturnsWhileMarkingIsPaused([&] {
    Mutator mutator(heap());
    const MemStats before = heap().ReadMemStats();
    mutator.New<Node>();
    const MemStats stats = heap().ReadMemStats();
    EXPECT_EQ(stats.mallocs, before.mallocs + 1);
    EXPECT_EQ(stats.mutators, 1U);
  }));
}

TEST_F(BesideMarkingTest, SeveralThreadsReadStatisticsAtOnce) {
  EXPECT_TRUE(ReturnsWhileMarkingIsPaused([&] {
    std::vector<std::thread> readers;
    for (int i = 0; i < 4; ++i) {
      readers.emplace_back([&] {
        for (int k = 0; k < 20; ++k) heap().ReadMemStats();
      });
    }
    for (std::thread& reader : readers) reader.join();
  }));
}

TEST_F(BesideMarkingTest, MarkingDoesNotEndDuringAVisit) {
  std::optional<PausedMarking> pause(heap());
  std::optional<Collector::Visit> visit(heap().core().collector());
  EXPECT_EQ(visit->turn(), nullptr);
  GateKeeper::Open();
  // Not a proof, but a chance to fail.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(heap().core().pacer().marking());
  visit.reset();
  pause.reset();
  EXPECT_FALSE(heap().core().pacer().marking());
}

TEST_F(BesideMarkingTest, AVisitHasTheTurnWhenNoCycleMarks) {
  std::optional<Collector::Visit> visit(heap().core().collector());
  EXPECT_NE(visit->turn(), nullptr);
  std::atomic<bool> collected{false};
  std::thread collector([&] {
    heap().Collect();
    collected = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(collected);
  visit.reset();
  collector.join();
}

TEST_F(BesideMarkingTest, TheSamplerIsSet) {
  class Sampler final : public AllocationSampler {
   public:
    void OnSample(const AllocationSample&) override { ++samples; }
    int samples = 0;
  };
  Sampler sampler;
  EXPECT_TRUE(ReturnsWhileMarkingIsPaused([&] {
    Mutator mutator(heap());
    heap().SetAllocationSampler(&sampler);
    for (int i = 0; i < 4; ++i) mutator.New<Large>();
    heap().SetAllocationSampler(nullptr);
  }));
  EXPECT_GT(sampler.samples, 0);
}

TEST_F(BesideMarkingTest, ThreadsThatAreNotAttachedMakeWeakPointers) {
  Weak<Node> weak;
  EXPECT_TRUE(
      ReturnsWhileMarkingIsPaused([&] { weak = Weak<Node>(object_.get()); }));
  EXPECT_EQ(weak.Get(), object_.get());
  object_ = nullptr;
  heap().Collect();
  EXPECT_TRUE(weak.expired());
}

TEST_F(BesideMarkingTest, NativeThreadsMakeWeakPointers) {
  Weak<Node> weak;
  EXPECT_TRUE(ReturnsWhileMarkingIsPaused([&] {
    Mutator mutator(heap());
    Mutator::NativeScope native(mutator);
    weak = Weak<Node>(object_.get());
  }));
  EXPECT_EQ(weak.Get(), object_.get());
}

TEST_F(BesideMarkingTest, ThreadsThatAreNotAttachedAddCleanups) {
  int runs = 0;
  EXPECT_TRUE(ReturnsWhileMarkingIsPaused(
      [&] { AddCleanup(object_.get(), [&runs] { ++runs; }); }));
  EXPECT_EQ(heap().RunCleanups(), 0U);
  object_ = nullptr;
  heap().Collect();
  EXPECT_EQ(heap().RunCleanups(), 1U);
  EXPECT_EQ(runs, 1);
}

// The job that marks what objects with finalizers lead to has been done.
TEST_F(BesideMarkingTest, ThreadsThatAreNotAttachedSetFinalizers) {
  uint64_t seen = 0;
  EXPECT_TRUE(ReturnsWhileMarkingIsPaused([&] {
    SetFinalizer(hidden_.Get(), [&seen](Node* node) {
      if (node->next->intact()) seen = node->next->value;
    });
  }));
  heap().Collect();
  heap().RunCleanups();
  EXPECT_EQ(seen, 3U);
}

}  // namespace
}  // namespace tricolor::runtime
