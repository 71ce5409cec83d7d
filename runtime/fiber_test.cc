// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/fiber.h"

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/runtime/fiber_testing.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/marking_testing.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

HeapOptions CheckedOptions(const char* more = "") {
  HeapOptions options = QuietOptions();
  static std::string debug;
  debug = std::string("gccheckmark=1,clobberfree=1") + more;
  options.debug = debug.c_str();
  return options;
}

size_t Objects(Heap& heap) { return heap.ReadMemStats().heap_objects; }

// Holds a list over a yield.
void HoldList(Fiber& fiber) {
  Node* list = MakeList(fiber.mutator(), 1000);
  fiber.Yield();
  EXPECT_TRUE(ListIsIntact(list, 1000));
}

void TestSuspendedFiberKeeps(const HeapOptions& options) {
  Heap heap(options);
  Mutator mutator(heap);
  Fiber fiber(heap, HoldList);
  fiber.Resume(mutator);
  for (int i = 0; i < 3; ++i) heap.Collect();
  EXPECT_GE(Objects(heap), 1000U);
  heap.CheckInvariants();
  fiber.Resume(mutator);
  EXPECT_TRUE(fiber.ended());
  // Nothing is left of a fiber that has ended.
  heap.Collect();
  EXPECT_LT(Objects(heap), 100U);
}

TEST(FiberTest, ASuspendedFiberKeepsWhatIsOnItsStack) {
  TestSuspendedFiberKeeps(CheckedOptions());
}

TEST(FiberTest, SoItDoesWhenMarkingStopsTheWorld) {
  TestSuspendedFiberKeeps(CheckedOptions(",gcstoptheworld=1"));
}

TEST(FiberTest, AThreadsOwnStackKeepsWhileItRunsAFiber) {
  Heap heap(CheckedOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber& self) {
    for (int i = 0; i < 3; ++i) self.heap().Collect();
    for (int i = 0; i < 5000; ++i) self.mutator().New<Node>(uint64_t{1} << 40);
  });
  Node* list = MakeList(mutator, 1000);
  fiber.Resume(mutator);
  EXPECT_TRUE(ListIsIntact(list, 1000));
}

TEST(FiberTest, ARunningFiberKeepsWhatIsOnItsStack) {
  Heap heap(CheckedOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber& self) {
    Node* list = MakeList(self.mutator(), 1000);
    for (int i = 0; i < 3; ++i) self.heap().Collect();
    EXPECT_TRUE(ListIsIntact(list, 1000));
  });
  fiber.Resume(mutator);
  EXPECT_TRUE(fiber.ended());
}

TEST(FiberTest, WhatADestroyedOrClearedFiberHeldIsGarbage) {
  Heap heap(CheckedOptions());
  Mutator mutator(heap);
  for (const bool destroy : {false, true}) {
    auto fiber = std::make_unique<Fiber>(heap, HoldList);
    fiber->Resume(mutator);
    heap.Collect();
    EXPECT_GE(Objects(heap), 1000U);
    if (destroy) {
      fiber.reset();
    } else {
      fiber->stack().Clear();
    }
    heap.Collect();
    EXPECT_LT(Objects(heap), 100U);
  }
}

// Where a library may have its record of a fiber, and in it what the fiber is
// given.
TEST(FiberTest, TheHighestWordOfAFibersStackKeeps) {
  Heap heap(CheckedOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber& self) { self.Yield(); });
  fiber.Resume(mutator);
  Node** const highest =
      Addr(fiber.context().bounds.high - sizeof(Node*)).as<Node*>();
  OnOtherThread([&] {
    Mutator other(heap);
    *highest = MakeList(other, 1000);
  });
  heap.Collect();
  EXPECT_TRUE(ListIsIntact(*highest, 1000));
  *highest = nullptr;
  fiber.Resume(mutator);
  EXPECT_TRUE(fiber.ended());
}

TEST(FiberTest, InExactModeOnlyRootsKeep) {
  HeapOptions options = CheckedOptions();
  options.conservative_stacks = false;
  Heap heap(options);
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber& self) {
    Root<Node> root(MakeList(self.mutator(), 1));
    MakeList(self.mutator(), 1000);
    self.Yield();
    EXPECT_TRUE(ListIsIntact(root.get(), 1));
  });
  fiber.Resume(mutator);
  heap.Collect();
  EXPECT_EQ(Objects(heap), 1U);
  fiber.Resume(mutator);
  EXPECT_TRUE(fiber.ended());
}

// Fiber i holds a list, and gives it to the next one through a field that each
// of them empties.
TEST(FiberTest, FibersHandNodesOnWhileAnotherThreadCollects) {
  constexpr size_t kFibers = 8;
  constexpr int kRounds = 300;
  Heap heap(CheckedOptions());
  Mutator mutator(heap);
  std::atomic<bool> done{false};
  std::thread collector([&] {
    while (!done) heap.Collect();
  });
  Root<Node> hand(mutator, mutator.New<Node>());
  std::vector<std::unique_ptr<Fiber>> fibers;
  for (size_t i = 0; i < kFibers; ++i) {
    fibers.push_back(std::make_unique<Fiber>(heap, [&, i](Fiber& self) {
      Node* list = MakeList(self.mutator(), 20);
      for (int round = 0; round < kRounds; ++round) {
        Node* taken = hand->other;
        hand->other = list;
        list = taken == nullptr ? MakeList(self.mutator(), 20) : taken;
        self.SwitchTo(*fibers[(i + 1) % kFibers]);
        ASSERT_TRUE(ListIsIntact(list, 20));
      }
    }));
  }
  fibers[0]->Resume(mutator);
  // The first one to end has left the others in the middle.
  EXPECT_TRUE(fibers[0]->ended());
  done = true;
  {
    Mutator::NativeScope native(mutator);
    collector.join();
  }
}

// Two threads go on with two fibers in turn; each fiber changes its thread at
// every switch.
TEST(FiberTest, AFiberGoesOnOnAnotherThread) {
  constexpr int kRounds = 200;
  Heap heap(CheckedOptions());
  const auto body = [](Fiber& self) {
    Node* list = MakeList(self.mutator(), 50);
    for (int round = 0; round < kRounds; ++round) {
      Node* more = MakeList(self.mutator(), 50);
      self.Yield();
      ASSERT_TRUE(ListIsIntact(list, 50) && ListIsIntact(more, 50));
      list = more;
    }
  };
  Fiber a(heap, body);
  Fiber b(heap, body);
  std::atomic<int> turn{0};
  const auto thread = [&](int number) {
    Mutator mutator(heap);
    for (int i = 0;; ++i) {
      while (turn != number) {
        mutator.Safepoint();
        std::this_thread::yield();
      }
      if (a.ended() && b.ended()) {
        turn = 1 - number;
        return;
      }
      // `a` and `b` alternate with a period of three, so that both threads
      // have both.
      Fiber& next = i % 3 == number ? a : b;
      Fiber& other = &next == &a ? b : a;
      if (!next.ended()) {
        next.Resume(mutator);
      } else if (!other.ended()) {
        other.Resume(mutator);
      }
      turn = 1 - number;
    }
  };
  std::thread threads[] = {std::thread(thread, 0), std::thread(thread, 1)};
  std::atomic<bool> done{false};
  std::thread collector([&] {
    while (!done) heap.Collect();
  });
  for (std::thread& t : threads) t.join();
  done = true;
  collector.join();
}

// A thread that is interrupted on a fiber, perhaps while the barriers are
// switched on: then all stacks are scanned again in the last stop.
TEST(FiberTest, ASignalStopsAThreadOnAFiber) {
  HeapOptions options = CheckedOptions();
  options.preempt_signal = SIGURG;
  Heap heap(options);
  heap.core().world().set_preempt_grace(0);
  std::atomic<bool> ready{false};
  std::atomic<bool> done{false};
  std::thread busy([&] {
    Mutator mutator(heap);
    Fiber holder(heap, HoldList);
    holder.Resume(mutator);
    Fiber fiber(heap, [&](Fiber& self) {
      Node* list = MakeList(self.mutator(), 1000);
      ready = true;
      // Reaches no safepoint. TSan delivers signals in calls only.
      while (!done) std::this_thread::yield();
      EXPECT_TRUE(ListIsIntact(list, 1000));
    });
    fiber.Resume(mutator);
    holder.Resume(mutator);
    EXPECT_TRUE(holder.ended());
  });
  while (!ready) std::this_thread::yield();
  for (int i = 0; i < 5; ++i) heap.Collect();
  EXPECT_GE(Objects(heap), 2000U);
  EXPECT_GT(heap.core().world().signals_sent(), 0U);
  done = true;
  busy.join();
}

// Signals would have the thread scanned where the tests do not want it.
HeapOptions HandshakeOptions() {
  HeapOptions options = CheckedOptions();
  options.preempt_signal = 0;
  return options;
}

// Moves the list from a fiber's stack into a new, black, object.
void MoveInto(Fiber& fiber, Root<Node>& root) {
  Node* list = MakeList(fiber.mutator(), 100);
  fiber.Yield();
  Node* black = fiber.mutator().New<Node>();
  black->next = list;
  root = black;
}

TEST(FiberTest, AScannedThreadThatEntersAnUnscannedStackScansIt) {
  Heap heap(HandshakeOptions());
  Mutator mutator(heap);
  Root<Node> root(mutator, nullptr);
  Fiber fiber(heap, [&](Fiber& self) { MoveInto(self, root); });
  fiber.Resume(mutator);
  PausedHandshake handshake(heap);
  handshake.Collect();
  while (!handshake.paused()) mutator.Safepoint();
  mutator.Safepoint();
  ASSERT_TRUE(mutator.context().marking && mutator.context().stack_scanned);
  fiber.Resume(mutator);
  ASSERT_TRUE(fiber.ended());
  handshake.Finish(mutator);
  ASSERT_TRUE(ListIsIntact(root->next, 100));
}

// The thread runs on `fiber` when the cycle begins, and leaves it, unscanned,
// with the list in hand.
TEST(FiberTest, AnUnscannedStackIsScannedWhenItIsLeft) {
  Heap heap(HandshakeOptions());
  // Not on the stack, where its snapshot would be scanned as a part of that.
  auto own = std::make_unique<Mutator>(heap);
  Mutator& mutator = *own;
  Root<Node> root(mutator, nullptr);
  PausedHandshake handshake(heap);
  std::atomic<uintptr_t> in_hand{0};
  Fiber taker(heap, [&](Fiber& self) {
    self.Yield();
    Node* black = self.mutator().New<Node>();
    black->next = Addr(~in_hand).as<Node>();
    root = black;
  });
  taker.Resume(mutator);
  auto giver = std::make_unique<Fiber>(heap, [&](Fiber& self) {
    Node* list = MakeList(self.mutator(), 100);
    MutatorContext& context = self.mutator().context();
    // Native, as in a NativeScope, whose end would be a safepoint. Of two
    // native mutators the collector serves the one first that came last.
    context.native_scopes = 1;
    tricolor_enter_native(&context);
    handshake.Collect();
    while (!handshake.paused()) std::this_thread::yield();
    context.native_scopes = 0;
    World::LeaveNative(context);
    ASSERT_TRUE(context.marking && !context.stack_scanned);
    in_hand = ~reinterpret_cast<uintptr_t>(list);
    self.Yield();
    // Never gets here: the stack has it as long as it is there.
    asm volatile("" : : "r"(list) : "memory");
  });
  giver->Resume(mutator);
  giver.reset();
  taker.Resume(mutator);
  handshake.Finish(mutator);
  ASSERT_TRUE(ListIsIntact(root->next, 100));
}

}  // namespace
}  // namespace tricolor::runtime
