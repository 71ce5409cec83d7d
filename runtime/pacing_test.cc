// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

// Pacing at work: who allocates while a cycle marks, and when cycles come by
// themselves. The arithmetic has tests of its own, in gc.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/runtime/assists.h"
#include "tricolor/runtime/gc_log.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/marking_testing.h"

namespace tricolor::runtime {
namespace {

using testing::MatchesRegex;

// A heap whose marking a test can pause, with a goal.
class PacingTest : public testing::Test {
 protected:
  static HeapOptions Options() {
    HeapOptions options = PausableOptions(/*conservative_stacks=*/false);
    options.gc_percent = 100;
    options.min_heap_bytes = 4 << 20;
    return options;
  }

  void MakeGraph(Mutator& mutator, size_t nodes) {
    Root<Node> list(mutator, MakeList(mutator, nodes));
    holder_ = mutator.New<Holder>();
    Gate* gate = mutator.New<Gate>();
    holder_->gate = gate;
    holder_->fields.ptr = list;
  }

  Heap heap_{Options()};
  Root<Holder> holder_;
};

// Allocates small objects on a thread of its own, as fast as it may.
class Allocating {
 public:
  explicit Allocating(Heap& heap)
      : thread_([this, &heap] {
          Mutator mutator(heap);
          while (!done_) {
            mutator.New<Leaf>();
            ++objects_;
          }
        }) {}
  ~Allocating() {
    done_ = true;
    thread_.join();
  }
  uint64_t objects() const { return objects_; }

 private:
  std::atomic<bool> done_{false};
  std::atomic<uint64_t> objects_{0};
  std::thread thread_;
};

// Attached threads that allocate nothing do not count, nor more of them than
// can run at once.
TEST(LeastGoalTest, IsForEachThreadThatHasAllocated) {
  constexpr uint64_t kLeast = 1 << 20;
  HeapOptions options = ExactOptions();
  options.gc_percent = 100;
  options.min_heap_bytes = kLeast;
  options.container_limits = false;
  Heap heap(options);
  Mutator mutator(heap);
  const auto goal_after = [&](int others) {
    mutator.New<Leaf>();
    for (int i = 0; i < others; ++i) {
      // While the first thread is attached, and so has another processor.
      OnOtherThread([&heap] { Mutator(heap).New<Leaf>(); });
    }
    OnOtherThread([&heap] { Mutator idle(heap); });
    heap.Collect();
    return heap.core().pacer().goal();
  };
  const uint64_t at_once = std::thread::hardware_concurrency();
  EXPECT_EQ(goal_after(0), kLeast);
  EXPECT_EQ(goal_after(1), kLeast * std::min<uint64_t>(2, at_once));
  EXPECT_EQ(goal_after(0), kLeast);
}

// The only worker stands still: whoever allocates pays for as long as there is
// credit or work, and then has to wait. Nobody outruns the goal.
TEST_F(PacingTest, ProgramsWaitForAMarkerThatDoesNotComeOn) {
  std::optional<Allocating> allocating;
  {
    Mutator mutator(heap_);
    MakeGraph(mutator, 1000);
    heap_.Collect();
    PausedMarking paused(heap_, &mutator);
    const uint64_t goal = heap_.core().pacer().goal();
    allocating.emplace(heap_);
    Mutator::NativeScope native(mutator);
    uint64_t seen = 0;
    EXPECT_TRUE(Eventually([&] {
      const uint64_t before = std::exchange(seen, allocating->objects());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return before != 0 && seen == allocating->objects();
    }));
    EXPECT_LE(heap_.core().pacer().heap_live(), goal + goal / 10 + (64 << 10));
    EXPECT_TRUE(heap_.core().pacer().marking());
  }
  const uint64_t before = allocating->objects();
  EXPECT_TRUE(
      Eventually([&] { return allocating->objects() > before + 100000; }));
  allocating.reset();
  holder_ = nullptr;
}

// What has been published is marked by threads in debt.
TEST_F(PacingTest, ThreadsInDebtMark) {
  std::optional<Allocating> allocating;
  {
    constexpr uint64_t kNodes = 20000;
    Mutator mutator(heap_);
    MakeGraph(mutator, 1000);
    // In the Gate's field: not found yet when the marker stands there.
    holder_->gate->fields.ptr = MakeList(mutator, kNodes);
    PausedMarking paused(heap_, &mutator);
    const uint64_t before = heap_.core().pacer().work_done();
    // The barrier records the list's head.
    holder_->gate->fields.ptr = nullptr;
    mutator.context().processor->grey().Publish();
    allocating.emplace(heap_);
    Mutator::NativeScope native(mutator);
    EXPECT_TRUE(Eventually([&] {
      return heap_.core().pacer().work_done() >= before + kNodes * sizeof(Node);
    }));
  }
  allocating.reset();
  holder_ = nullptr;
}

// In a list: when a thread in debt comes to the first of them, it waits there
// until another heap, to which it is attached, asks for something.
struct Watched {
  void Trace(PointerVisitor& visitor) const {
    if (debtor.load() == std::this_thread::get_id()) {
      reached = true;
      while (polled->LoadRelaxed() == 0) std::this_thread::yield();
      ++traced;
    }
    visitor.Visit(next.get());
  }

  static inline std::atomic<std::thread::id> debtor;
  static inline const Atomic<uint32_t>* polled = nullptr;
  static inline std::atomic<bool> reached{false};
  static inline std::atomic<uint64_t> traced{0};

  Ptr<Watched> next;
  uint64_t rest[3] = {};
};

// No signal helps: the heap's own code runs.
TEST_F(PacingTest, AnAssistEndsWhenAnotherHeapIsToStop) {
  HeapOptions options = QuietOptions();
  options.preempt_signal = 0;
  Heap other(options);
  std::atomic<bool> done{false};
  Mutator mutator(heap_);
  MakeGraph(mutator, 1000);
  {
    Root<Watched> list(mutator, nullptr);
    for (int i = 0; i < 20000; ++i) {
      auto* first = mutator.New<Watched>();
      first->next = list.get();
      list = first;
    }
    StorePointer(holder_->gate->fields.raw,
                 reinterpret_cast<Node*>(list.get()));
  }
  PausedMarking paused(heap_, &mutator);
  StorePointer<Node>(holder_->gate->fields.raw, nullptr);
  mutator.context().processor->grey().Publish();
  std::thread debtor([&] {
    Mutator elsewhere(other);
    Mutator own(heap_);
    Watched::polled = &elsewhere.context().poll;
    Watched::debtor = std::this_thread::get_id();
    while (!done) {
      own.New<Leaf>();
      elsewhere.Safepoint();
    }
  });
  Mutator::NativeScope native(mutator);
  while (!Watched::reached) std::this_thread::yield();
  other.core().world().Stop();
  EXPECT_LE(Watched::traced, 2 * Assists::kSlice / sizeof(Watched));
  other.core().world().Start();
  // Nobody waits in Trace any more.
  Watched::debtor = std::thread::id();
  done = true;
  GateKeeper::Open();
  debtor.join();
}

TEST(SilenceTest, ACycleComesAfterALongSilence) {
  HeapOptions options;
  options.debug = "";
  options.min_heap_bytes = 1 << 20;
  options.longest_silence_ms = 20;
  options.reservation_bytes = size_t{1} << 34;
  Heap heap(options);
  Mutator mutator(heap);
  while (heap.ReadMemStats().num_gc == 0) mutator.New<Leaf>();
  const uint64_t before = heap.ReadMemStats().num_gc;
  Mutator::NativeScope native(mutator);
  EXPECT_TRUE(
      Eventually([&] { return heap.ReadMemStats().num_gc >= before + 2; }));
  EXPECT_EQ(heap.ReadMemStats().num_forced_gc, 0U);
}

TEST(PaceLogTest, TheLineSaysItAll) {
  CycleRecord record;
  record.number = 12;
  record.goal = 20 << 20;
  record.pace = {.goal = 20 << 20,
                 .live = 19 << 20,
                 .work = 8 << 20,
                 .utilization = 0.256,
                 .cons_mark = 0.42};
  EXPECT_EQ(
      FormatPace(record),
      "pacer 12: 19.00 MB (20 MB goal), 8.00 MB scanned, 26% used, cons/mark "
      "0.42, next goal 20 MB");
}

TEST(PaceLogTest, EachCollectionPrintsOne) {
  HeapOptions options = ExactOptions();
  options.debug = "gcpacertrace=1";
  testing::internal::CaptureStderr();
  {
    Heap heap(options);
    Mutator mutator(heap);
    heap.Collect();
  }
  EXPECT_THAT(
      testing::internal::GetCapturedStderr(),
      MatchesRegex("pacer 1: 0.00 MB \\(no goal\\), [^\n]*, next goal no\n"));
}

}  // namespace
}  // namespace tricolor::runtime
