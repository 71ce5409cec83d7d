// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// TRICOLOR_DEBUG=checkcleanups=1.

#include "tricolor/runtime/cleanup_check.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "gtest/gtest.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

HeapOptions Checked() {
  HeapOptions options = ExactOptions();
  options.cleanup_thread = false;
  options.debug = "checkcleanups=1";
  return options;
}

struct CleanupCheckTest : testing::Test {
  // A collection in a child of fork() makes threads, which ThreadSanitizer does
  // not let it.
  CleanupCheckTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  Heap heap{Checked()};
  Mutator mutator{heap};
  Root<Node> root{mutator, mutator.New<Node>()};
};

TEST_F(CleanupCheckTest, ARootToTheObjectIsFatal) {
  EXPECT_DEATH(
      AddCleanup(root.get(), [n = uint64_t{1}, kept = root] { (void)n; }),
      "checkcleanups: a cleanup of the object at .* whose callable holds, at "
      "offset 8, a Root to it: it would never run");
  EXPECT_DEATH(SetFinalizer(root.get(), [kept = root](Node*) {}),
               "a finalizer of the object at .*, at offset 0, a Root to it");
}

TEST_F(CleanupCheckTest, APointerIntoTheObjectIsFatal) {
  EXPECT_DEATH(AddCleanup(root.get(), [p = root.get()] { (void)p; }),
               "at offset 0, a pointer to it: it would run with a dangling");
  EXPECT_DEATH(AddCleanup(root.get(), [p = &root->value] { (void)p; }),
               "at offset 0, a pointer to it");
}

TEST_F(CleanupCheckTest, AWayToTheObjectIsFatal) {
  Root<Node> far(mutator, MakeList(mutator, 50));
  Node* last = far;
  while (last->next != nullptr) last = last->next;
  last->other = root;
  EXPECT_DEATH(AddCleanup(root.get(), [far] {}),
               "a cleanup of the object at .* whose callable holds, at offset "
               "0, a Root to the object at .*, from which it is reached; the "
               "last on the way is ");
}

struct Wide {  // with a type header
  TRICOLOR_TRACE(Wide, children);
  uint64_t data[100] = {};
  Ptr<Node> children[2];
};
struct Huge {  // large
  TRICOLOR_TRACE(Huge, last);
  unsigned char bytes[1 << 20] = {};
  Ptr<Node> last;
};
struct Called {
  void Trace(PointerVisitor& visitor) const { visitor.Visit(child); }
  Node* child = nullptr;
};
struct Unknown {  // conservative
  uint64_t more[3] = {};
  Node* child = nullptr;
};

template <typename T, typename GetChild>
void ExpectFound(CleanupCheckTest& t, GetChild child_of) {
  Root<T> holder(t.mutator, t.mutator.New<T>());
  AddCleanup(t.root.get(), [holder] {}).Stop();
  child_of(holder.get()) = t.root.get();
  EXPECT_DEATH(AddCleanup(t.root.get(), [holder] {}), "it is reached");
}

TEST_F(CleanupCheckTest, AWayThroughAnyLayoutIsFound) {
  ExpectFound<Node>(
      *this, [](Node * n) -> auto& { return n->other; });
  ExpectFound<Wide>(
      *this, [](Wide * w) -> auto& { return w->children[1]; });
  ExpectFound<Huge>(
      *this, [](Huge * h) -> auto& { return h->last; });
  ExpectFound<Called>(
      *this, [](Called * c) -> auto& { return c->child; });
  ExpectFound<Unknown>(
      *this, [](Unknown * u) -> auto& { return u->child; });
}

// The way need not be there from the start.
TEST_F(CleanupCheckTest, IsLookedForAtEachCollection) {
  Root<Node> other(mutator, MakeList(mutator, 10));
  AddCleanup(root.get(), [other] {});
  SetFinalizer(root.get(), [other](Node*) {});
  heap.Collect();
  other->next->other = root;
  EXPECT_DEATH(heap.Collect(),
               "checkcleanups: a .* of the object at .*, at "
               "offset 0, a Root to the object");
  other->next->other = nullptr;
  heap.Collect();
}

TEST_F(CleanupCheckTest, WhatDoesNotLeadToTheObjectIsFine) {
  Root<Node> cycle(mutator, MakeList(mutator, 3));
  cycle->next->other = cycle;
  root->next = cycle;  // the other way round
  int runs = 0;
  AddCleanup(root.get(), [&runs, cycle, weak = Weak<Node>(root.get()),
                          none = Root<Node>(), number = uint64_t{42}] {
    EXPECT_TRUE(weak.expired());
    EXPECT_EQ(none.get(), nullptr);
    EXPECT_NE(cycle->next, nullptr);
    ++runs += static_cast<int>(number) - 42;
  });
  AddCleanup(root.get(), [] {});
  AddCleanup(root.get(), [small = uint8_t{1}] { (void)small; });
  SetFinalizer(root.get(), [cycle](Node* n) { EXPECT_EQ(n->next, cycle); });
  heap.Collect();
  root = nullptr;
  for (int i = 0; i < 3; ++i) {
    heap.Collect();
    heap.RunCleanups();
  }
  EXPECT_EQ(runs, 1);
}

TEST_F(CleanupCheckTest, AFinalizerMayHoldPointersToItsObject) {
  int runs = 0;
  root->next = mutator.New<Node>(uint64_t{5});
  root->next->next = root;  // until it is to die
  SetFinalizer(root.get(), [&runs, p = root.get(), q = root->next.get()](
                               Node* n) { runs += p == n && q->value == 5; });
  heap.Collect();
  root->next->next = nullptr;
  root = nullptr;
  heap.Collect();
  heap.RunCleanups();
  EXPECT_EQ(runs, 1);
}

TEST_F(CleanupCheckTest, OthersInATinyBlockAreNotTheObject) {
  Root<int> first(mutator, mutator.New<int>());
  Root<int> second(mutator, mutator.New<int>());
  ASSERT_EQ(reinterpret_cast<uintptr_t>(first.get()) / 16,
            reinterpret_cast<uintptr_t>(second.get()) / 16);
  Cleanup cleanup = AddCleanup(first.get(), [second] {});
  EXPECT_TRUE(AddCleanup(
                  second.get(), [](int*) {}, first.get())
                  .Stop());
  heap.Collect();
  EXPECT_TRUE(cleanup.Stop());
  EXPECT_DEATH(AddCleanup(second.get(), [second] {}), "a Root to it");
  EXPECT_DEATH(AddCleanup(
                   second.get(), [](int*) {}, second.get()),
               "points into it");
}

// No Root of the program's holds it, and the check waits for other threads.
TEST_F(CleanupCheckTest, TheObjectIsKeptWhileItWaits) {
  std::atomic<bool> done{false};
  std::thread collecting([&] {
    while (!done) heap.Collect();
  });
  for (uint64_t i = 0; i < 200; ++i) {
    Node* node = mutator.New<Node>(i);
    if (i % 2 == 0) {
      EXPECT_TRUE(AddCleanup(node, [] {}).Stop());
    } else {
      EXPECT_TRUE(SetFinalizer(node, [](Node*) {}));
    }
    EXPECT_TRUE(node->intact() && node->value == i);
  }
  done = true;
  Mutator::NativeScope native(mutator);
  collecting.join();
}

TEST_F(CleanupCheckTest, IsOffUnlessItIsAskedFor) {
  HeapOptions options = Checked();
  options.debug = "";
  Heap unchecked(options);
  Mutator own(unchecked);
  Root<Node> node(own, own.New<Node>());
  Cleanup cleanup = AddCleanup(node.get(), [node] {});
  unchecked.Collect();
  EXPECT_TRUE(cleanup.Stop());
}

}  // namespace
}  // namespace tricolor::runtime
