// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The stop of the world, step by step (docs/runtime.md), under every schedule
// of a few preemptions: the world itself, mutators that come, go, poll and go
// native, and a thread that stops them. Without signals.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/check.h"
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_hooks.h"
#include "tricolor/base/schedule_testing.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/schedule_testing.h"

namespace tricolor::runtime {
namespace {

// What threads do, a letter each. Lower-case ones are a mutator's, attached for
// the whole of its program:
//   p  poll       n  be native for a moment
// The others need none:
//   S  stop the world and start it       F  have all caches flushed
class WorldScenario final : public schedule::Scenario {
 public:
  explicit WorldScenario(std::vector<std::string> programs)
      : programs_(std::move(programs)) {}

  int threads() const override { return static_cast<int>(programs_.size()); }

  void Run(int t) override {
    const std::string& program = programs_[static_cast<size_t>(t)];
    if (program.find_first_of("pn") == std::string::npos) {
      for (const char operation : program) Collect(operation);
      return;
    }
    Mutator mutator(heap_);
    for (const char operation : program) {
      UseHeap();
      if (operation == 'p') {
        mutator.Safepoint();
      } else {
        Mutator::NativeScope native(mutator);
        schedule::Step();
      }
    }
    UseHeap();
  }

  std::string Check() override {
    heap_.CheckInvariants();
    return heap_.ReadMemStats().mutators == 0 ? "" : "a mutator is left";
  }

 private:
  World& world() { return heap_.core().world(); }

  // As managed code does, with a step in it.
  void UseHeap() {
    TRICOLOR_CHECK(!stopped_, "the heap is used while the world is stopped");
    schedule::Step();
    TRICOLOR_CHECK(!stopped_, "the world stopped while the heap was used");
  }

  void Collect(char operation) {
    world().Stop();
    stopped_ = true;
    if (world().mutator_count() != 0) schedule::Witness(0);
    world().CheckInvariants(heap_.core().mheap().sweep_gen());
    if (operation == 'F') world().RequestFlush();
    stopped_ = false;
    world().Start();
    if (operation == 'F') world().FinishFlush();
  }

  const std::vector<std::string> programs_;
  Heap heap_{ScheduledOptions()};
  bool stopped_ = false;
};

void ExploreGood(std::vector<std::string> programs, int preemptions,
                 uint64_t at_least) {
  const schedule::Result result = schedule::ExploreGood(
      [&] { return std::make_unique<WorldScenario>(programs); }, preemptions,
      at_least);
  EXPECT_GT(result.witnessed[0], 0u);  // there were mutators to stop
}

TEST(WorldScheduleTest, StoppedMeansThatNobodyUsesTheHeap) {
  ExploreGood({"p", "S"}, 4, 1000);
  ExploreGood({"n", "S"}, 4, 1000);
  ExploreGood({"n", "n", "S"}, 1, 100);
}

TEST(WorldScheduleTest, OneStopAfterAnother) {
  ExploreGood({"np", "SS"}, 3, 1000);
}

TEST(WorldScheduleTest, EachCacheIsFlushedByItsThreadOrForIt) {
  ExploreGood({"pn", "F"}, 3, 1000);
  ExploreGood({"n", "p", "F"}, 1, 100);
}

TEST(WorldScheduleTest, ManyMutatorsUnderRandomPriorities) {
  schedule::PctGood(
      [] {
        return std::make_unique<WorldScenario>(
            std::vector<std::string>{"pnpnn", "nnpn", "ppnp", "SFSF"});
      },
      1, 300);
}

}  // namespace
}  // namespace tricolor::runtime
