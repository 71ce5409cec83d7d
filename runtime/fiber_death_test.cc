// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What stops the program: fibers and their stacks that are not used as they
// must be.

#include <ucontext.h>

#include <memory>

#include "gtest/gtest.h"
#include "tricolor/runtime/fiber.h"
#include "tricolor/runtime/fiber_testing.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

// Not in a child of fork(): there stacks may be those of threads that are gone,
// and ThreadSanitizer does not follow switches.
class FiberDeathTest : public testing::Test {
 protected:
  FiberDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(FiberDeathTest, AStackIsDestroyedByWhoRunsOnIt) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber& self) { self.stack().Clear(); });
  EXPECT_DEATH(fiber.Resume(mutator), "is cleared or destroyed while a thread");
}

TEST_F(FiberDeathTest, AStackIsEnteredThatAThreadRunsOn) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber& self) {
    FiberSwitch to_itself(self.mutator(), &self.stack());
  });
  EXPECT_DEATH(fiber.Resume(mutator), "on which a thread runs");
}

TEST_F(FiberDeathTest, TheSwitchIsNotMade) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber&) {});
  EXPECT_DEATH({ FiberSwitch announced(mutator, &fiber.stack()); },
               "has announced a switch to the stack");
}

TEST_F(FiberDeathTest, TwoSwitchesAreAnnounced) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber&) {});
  EXPECT_DEATH(
      {
        FiberSwitch announced(mutator, &fiber.stack());
        FiberSwitch again(mutator, nullptr);
      },
      "before it has arrived");
}

TEST_F(FiberDeathTest, ASafepointIsReachedBeforeTheSwitch) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber&) {});
  EXPECT_DEATH(
      {
        FiberSwitch announced(mutator, &fiber.stack());
        heap.Collect();
      },
      "is outside of the current stack");
}

TEST_F(FiberDeathTest, AFiberUsesTheHeapWithoutAnAnnouncement) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber&) {});
  Context own;
  own.SetOwn();
  EXPECT_DEATH(
      {
        BeforeSwitch(&own.asan_stack, fiber.context());
        swapcontext(&own.ucontext, &fiber.context().ucontext);
      },
      "has announced a switch to the stack");
}

TEST_F(FiberDeathTest, TheSwitchIsInANativeScope) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Fiber fiber(heap, [](Fiber&) {});
  EXPECT_DEATH(
      {
        Mutator::NativeScope native(mutator);
        FiberSwitch announced(mutator, &fiber.stack());
      },
      "is used inside of its NativeScope");
}

TEST_F(FiberDeathTest, TheStackIsOneOfAnotherHeap) {
  Heap heap(QuietOptions());
  Heap other(QuietOptions());
  Mutator mutator(heap);
  Fiber fiber(other, [](Fiber&) {});
  EXPECT_DEATH({ FiberSwitch announced(mutator, &fiber.stack()); },
               "switches to a stack of another heap");
}

TEST_F(FiberDeathTest, TheMutatorIsDestroyedOnAFiber) {
  Heap heap(QuietOptions());
  auto mutator = std::make_unique<Mutator>(heap);
  Fiber fiber(heap, [&](Fiber&) { mutator.reset(); });
  EXPECT_DEATH(fiber.Resume(*mutator), "is destroyed on a fiber's stack");
}

TEST_F(FiberDeathTest, TheHeapIsDestroyedBeforeTheStack) {
  auto heap = std::make_unique<Heap>(QuietOptions());
  Fiber fiber(*heap, [](Fiber&) {});
  EXPECT_DEATH(heap.reset(), "knows 1 stacks of fibers");
}

TEST_F(FiberDeathTest, TheStackIsEmpty) {
  Heap heap(QuietOptions());
  char byte = 0;
  EXPECT_DEATH(FiberStack(heap, &byte, 0), "a fiber's stack of 0 bytes");
}

}  // namespace
}  // namespace tricolor::runtime
