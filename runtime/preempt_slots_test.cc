// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a stop does with the slot that an interrupted thread may be about to
// take: it is not handed out again, and the thread goes on behind it.

#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <thread>

#include "gtest/gtest.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

// Calls `stop` while a thread computes that has allocated two nodes, and
// returns how many slots behind the second of them its next one is.
template <typename Stop>
ptrdiff_t SlotsToTheNext(Heap& heap, Stop stop) {
  heap.core().world().set_preempt_grace(0);
  std::atomic<bool> ready{false};
  std::atomic<bool> done{false};
  ptrdiff_t slots = 0;
  std::thread thread([&] {
    Mutator mutator(heap);
    const Node* first = mutator.New<Node>();
    const Node* second = mutator.New<Node>();
    ASSERT_EQ(second, first + 1) << "no run of slots";
    ready = true;
    while (!done.load(std::memory_order_relaxed)) usleep(1);
    slots = mutator.New<Node>() - second;
  });
  while (!ready) std::this_thread::yield();
  stop();
  done = true;
  thread.join();
  return slots;
}

TEST(PreemptSlotsTest, AStopTakesTheNextSlotOfAnInterruptedThread) {
  Heap heap(QuietOptions());
  EXPECT_GE(SlotsToTheNext(heap, [&] { heap.CheckInvariants(); }), 2);
  EXPECT_GE(heap.core().world().signals_sent(), 1U);
}

TEST(PreemptSlotsTest, WithoutAStopItTakesTheNextSlotItself) {
  Heap heap(QuietOptions());
  EXPECT_EQ(SlotsToTheNext(heap, [] {}), 1);
}

}  // namespace
}  // namespace tricolor::runtime
