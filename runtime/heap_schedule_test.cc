// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A whole heap under random priorities: mutators that allocate, concurrent
// cycles with their mark workers, the background sweeper and scavenger, and all
// threads that these make. A second marker checks each cycle's marks.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/check.h"
#include "tricolor/base/pause.h"
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_testing.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/schedule_testing.h"

namespace tricolor::runtime {
namespace {

HeapOptions ConcurrentOptions() {
  HeapOptions options = ScheduledOptions();
  options.debug = "gccheckmark=1";
  options.gc_percent = 100;
  options.concurrent = true;
  options.gc_threads = 2;
  options.background_sweep = true;
  options.background_scavenge = true;
  return options;
}

class HeapScenario final : public schedule::Scenario {
 public:
  static constexpr int kMutators = 2;

  int threads() const override { return kMutators + 1; }

  void Run(int t) override {
    if (t == 0) return MakeAndCollect();
    while (!made_.LoadAcquire()) PauseCpu();
    Mutate(t);
    done_.FetchAddAcqRel(1);
  }

  std::string Check() override { return ""; }

 private:
  // The threads that the heap makes are its maker's, so that this makes it.
  void MakeAndCollect() {
    heap_.emplace(ConcurrentOptions());
    made_.StoreRelease(true);
    heap_->Collect();
    while (done_.LoadAcquire() != kMutators) PauseCpu();
    heap_->Collect();
    heap_->CheckInvariants();
    if (heap_->ReadMemStats().num_gc > 2) schedule::Witness(0);
    heap_.reset();
  }

  // A list that is turned over while it grows, and garbage beside it.
  void Mutate(int thread) {
    constexpr size_t kLength = 30;
    Mutator mutator(*heap_);
    Root<Node> list(mutator, MakeList(mutator, kLength));
    for (int i = 0; i < 12; ++i) {
      mutator.New<Leaf>();
      if (i % 4 == 2) mutator.New<Large>();  // garbage enough for a cycle
      Root<Node> rest(mutator, list->next);
      list->next = nullptr;
      list->other = rest;
      TRICOLOR_CHECK(ListIsTurned(list.get(), kLength),
                     "the list of thread %d is broken", thread);
      list->next = rest;
      list->other = nullptr;
      if (i % 4 == 0) Mutator::NativeScope native(mutator);
      mutator.Safepoint();
    }
    TRICOLOR_CHECK(ListIsIntact(list.get(), kLength), "the list is broken");
  }

  static bool ListIsTurned(const Node* head, size_t length) {
    const Node* rest = head->other;
    for (size_t i = 1; i < length; ++i) {
      if (rest == nullptr || !rest->intact() || rest->value != i) return false;
      rest = rest->next;
    }
    return rest == nullptr;
  }

  std::optional<Heap> heap_;
  Atomic<bool> made_{false};
  Atomic<int> done_;
};

TEST(HeapScheduleTest, AWholeHeapUnderRandomPriorities) {
  const schedule::Factory factory = [] {
    return std::make_unique<HeapScenario>();
  };
  schedule::PctGood(factory, 1, 40);
  const uint64_t runs = schedule::ScaledSchedules(40);
  const schedule::Result result = schedule::ExpectGood(
      factory, schedule::RandomWalk(factory, 1, runs), runs);
  EXPECT_GT(result.witnessed[0], 0u);  // cycles began by themselves
}

}  // namespace
}  // namespace tricolor::runtime
