// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cleanup::Stop while the sweeper finds the object dead, under every schedule
// of a few preemptions: before it has taken the object's specials, when it has
// them and has not handed them over, and after that.

#include <cstddef>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tricolor/base/check.h"
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_testing.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/runtime/cleanup.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/schedule_testing.h"

namespace tricolor::runtime {
namespace {

// Thread 0 sweeps, the others each stop one of the object's cleanups.
class StopScenario final : public schedule::Scenario {
 public:
  explicit StopScenario(size_t cleanups) : cleanups_(cleanups) {
    {
      Mutator mutator(heap_);
      Node* node = mutator.New<Node>();
      for (size_t i = 0; i < cleanups; ++i) {
        handles_[i] = AddCleanup(node, [this, i] { ++runs_[i]; });
      }
      mutator.New<Large>();  // garbage enough for a cycle
    }
    core().mheap().AttachProcessor(pages_);
    heap_.SetGcPercent(1);
    core().collector().CollectIfDue();
    heap_.SetGcPercent(-1);
    TRICOLOR_CHECK(!core().sweeper().Done(), "nothing is left to sweep");
  }
  ~StopScenario() override { core().mheap().ReleaseProcessor(pages_); }

  int threads() const override { return static_cast<int>(cleanups_) + 1; }

  void Run(int t) override {
    if (t == 0) return core().sweeper().SweepAll(pages_);
    const auto i = static_cast<size_t>(t) - 1;
    stopped_[i] = handles_[i].Stop();
    schedule::Witness(stopped_[i] ? 0 : 1);
  }

  std::string Check() override {
    heap_.RunCleanups();
    heap_.CheckInvariants();
    for (size_t i = 0; i < cleanups_; ++i) {
      if (runs_[i] != (stopped_[i] ? 0 : 1)) {
        return "cleanup " + std::to_string(i) + (stopped_[i] ? "" : " not") +
               " stopped, and run " + std::to_string(runs_[i]) + " times";
      }
    }
    return "";
  }

 private:
  static constexpr size_t kMost = 2;

  HeapCore& core() { return heap_.core(); }

  const size_t cleanups_;
  int runs_[kMost] = {};
  bool stopped_[kMost] = {};
  Heap heap_{ScheduledOptions()};
  mheap::ProcessorCache pages_;
  Cleanup handles_[kMost];
};

void StopWhileSwept(size_t cleanups, int preemptions, uint64_t at_least) {
  const schedule::Result result = schedule::ExploreGood(
      [cleanups] { return std::make_unique<StopScenario>(cleanups); },
      preemptions, at_least);
  EXPECT_GT(result.witnessed[0], 0u);  // in time
  EXPECT_GT(result.witnessed[1], 0u);  // too late
}

TEST(CleanupScheduleTest, IsRunOrStoppedButNotBoth) {
  StopWhileSwept(1, 2, 50);
}

TEST(CleanupScheduleTest, EachOfAnObjectIsRunOrStopped) {
  StopWhileSwept(2, 1, 50);
}

}  // namespace
}  // namespace tricolor::runtime
