// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Misuse stops the program with one line that says what was found.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

class HeapDeathTest : public testing::Test {
 protected:
  // The child of a plain fork would have only one of the threads.
  HeapDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(HeapDeathTest, AttachingAThreadTwiceIsFatal) {
  EXPECT_DEATH(
      {
        Heap heap(QuietOptions());
        Mutator first(heap);
        Mutator second(heap);
      },
      "fatal: thread attached twice to one heap: mutator 0x");
}

TEST_F(HeapDeathTest, UseByAnotherThreadIsFatal) {
  EXPECT_DEATH(
      {
        Heap heap(QuietOptions());
        Mutator mutator(heap);
        std::thread([&] { mutator.New<Node>(); }).join();
      },
      "fatal: mutator 0x[0-9a-f]+ is used by a thread that it does not belong "
      "to");
}

TEST_F(HeapDeathTest, DetachingOnAnotherThreadIsFatal) {
  EXPECT_DEATH(
      {
        Heap heap(QuietOptions());
        auto mutator = std::make_unique<Mutator>(heap);
        std::thread([&] { mutator.reset(); }).join();
      },
      "is used by a thread that it does not belong to");
}

TEST_F(HeapDeathTest, AllocatingInANativeScopeIsFatal) {
  EXPECT_DEATH(
      {
        Heap heap(QuietOptions());
        Mutator mutator(heap);
        Mutator::NativeScope native(mutator);
        mutator.New<Node>();
      },
      "fatal: mutator 0x[0-9a-f]+ is used inside of its NativeScope");
}

TEST_F(HeapDeathTest, AStopInANativeScopeThatPollsIsFatal) {
  EXPECT_DEATH(
      {
        Heap heap(QuietOptions());
        Mutator mutator(heap);
        Mutator::NativeScope native(mutator);
        std::thread([&heap] {
          for (;;) heap.Collect();
        }).detach();
        for (;;) mutator.Safepoint();
      },
      "fatal: mutator 0x[0-9a-f]+ is used inside of its NativeScope");
}

TEST_F(HeapDeathTest, DestroyingAHeapWithAttachedThreadsIsFatal) {
  EXPECT_DEATH(
      {
        auto heap = std::make_unique<Heap>(QuietOptions());
        Mutator mutator(*heap);
        heap.reset();
      },
      "fatal: heap 0x[0-9a-f]+ destroyed while 1 threads are attached");
}

TEST_F(HeapDeathTest, DestroyingAHeapThatRootsHoldIsFatal) {
  EXPECT_DEATH(
      {
        Root<Node> root;
        Heap heap(QuietOptions());
        Mutator mutator(heap);
        root = mutator.New<Node>();
      },
      "fatal: heap 0x[0-9a-f]+ destroyed while 1 Roots hold objects");
}

TEST_F(HeapDeathTest, RootsOfWhatIsNoHeapObjectAreFatal) {
  Node outside;
  EXPECT_DEATH(Root<Node> root(&outside),
               "fatal: a Root of 0x[0-9a-f]+, which lies in no heap");
  EXPECT_DEATH(
      {
        Heap a(QuietOptions());
        Heap b(QuietOptions());
        Mutator in_a(a);
        Mutator in_b(b);
        Root<Node> root(in_a, in_b.New<Node>());
      },
      "fatal: a Root of 0x[0-9a-f]+, which is not in its heap");
}

TEST_F(HeapDeathTest, WeakPointersToWhatIsNoHeapObjectAreFatal) {
  Node outside;
  EXPECT_DEATH(Weak<Node> weak(&outside), "fatal: 0x[0-9a-f]+ lies in no heap");
  EXPECT_DEATH(AddCleanup(&outside, [] {}),
               "fatal: a cleanup of 0x[0-9a-f]+, which lies in no heap");
}

TEST_F(HeapDeathTest, SpecialsOfFreeSlotsAreFatal) {
  EXPECT_DEATH(
      {
        Heap heap(ExactOptions());
        Mutator mutator(heap);
        mutator.New<Node>();
        Node* dead = mutator.New<Node>();
        Root<Node> neighbor(mutator, mutator.New<Node>());
        heap.Collect();
        Weak<Node> weak(dead);
      },
      "fatal: 0x[0-9a-f]+ is no live object of heap");
}

TEST_F(HeapDeathTest, ACleanupArgumentInTheObjectIsFatal) {
  EXPECT_DEATH(
      {
        Heap heap(QuietOptions());
        Mutator mutator(heap);
        Node* node = mutator.New<Node>();
        AddCleanup(
            node, [](uint64_t*) {}, &node->value);
      },
      "fatal: a cleanup of 0x[0-9a-f]+ whose argument 0x[0-9a-f]+ points into "
      "it");
}

TEST_F(HeapDeathTest, RootRangesMustBeKnownAndNotEmpty) {
  static Node* table[4];
  Heap heap(QuietOptions());
  EXPECT_DEATH(heap.RemoveRootRange(table), "no range of roots begins at 0x");
  EXPECT_DEATH(heap.AddRootRange(table, 0), "an empty range of roots at 0x");
  heap.AddRootRange(table, sizeof table);
  EXPECT_DEATH(heap.AddRootRange(table, 8),
               "a range of roots at 0x[0-9a-f]+ exists already");
  heap.RemoveRootRange(table);
}

TEST_F(HeapDeathTest, StoppingTheWorldWhileManagedIsFatal) {
  EXPECT_DEATH(
      {
        Heap heap(QuietOptions());
        Mutator mutator(heap);
        heap.core().world().Stop();
        heap.core().world().Start();
      },
      "the world is stopped by a thread whose mutator 0x[0-9a-f]+ is managed");
}

TEST_F(HeapDeathTest, AHeapThatTheOsRefusesIsFatal) {
  FakeOsMemory os;
  os.FailFrom(1);
  HeapOptions options = QuietOptions();
  options.os = &os;
  EXPECT_DEATH(Heap heap(options),
               "fatal: no heap: the system refuses address space for a heap");
}

}  // namespace
}  // namespace tricolor::runtime
