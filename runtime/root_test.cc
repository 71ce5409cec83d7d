// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/root.h"

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

struct Base {
  TRICOLOR_TRACE(Base);
  uint64_t b = 1;
};
struct Derived : Base {
  TRICOLOR_TRACE(Derived, TRICOLOR_BASE(Base));
  uint64_t d = 2;
};

class RootTest : public testing::Test {
 protected:
  size_t Live() {
    heap_.Collect();
    return heap_.ReadMemStats().heap_objects;
  }
  Node* NewNode(uint64_t value = 0) { return mutator_.New<Node>(value); }

  Heap heap_{ExactOptions()};
  Mutator mutator_{heap_};
};

TEST_F(RootTest, KeepsItsObjectUntilItIsGone) {
  {
    Root<Node> root(mutator_, NewNode(3));
    EXPECT_EQ(Live(), 1U);
    EXPECT_EQ(root->value, 3U);
    EXPECT_EQ((*root).value, 3U);
    EXPECT_TRUE(root);
  }
  EXPECT_EQ(Live(), 0U);
}

TEST_F(RootTest, IsNullWhenItIsGivenNothing) {
  Root<Node> root(mutator_, NewNode(3));
  root = nullptr;
  EXPECT_EQ(root.get(), nullptr);
  root = NewNode(4);
  root = {};
  EXPECT_EQ(root.get(), nullptr);
  EXPECT_EQ(Live(), 0U);
}

TEST_F(RootTest, FindsItsHeapByTheAddress) {
  Root<Node> root(NewNode());
  Root<Node> other;
  EXPECT_FALSE(other);
  other = NewNode(4);
  EXPECT_EQ(Live(), 2U);
  EXPECT_EQ(other->value, 4U);
  other = nullptr;
  EXPECT_EQ(other, nullptr);
  EXPECT_EQ(Live(), 1U);
}

TEST_F(RootTest, CopiesAndMoves) {
  Root<Node> a(mutator_, NewNode(1));
  Root<Node> b = a;
  EXPECT_EQ(a.get(), b.get());
  Root<Node> c = std::move(a);
  EXPECT_EQ(a.get(), nullptr);
  EXPECT_EQ(c.get(), b.get());
  b = nullptr;
  EXPECT_EQ(Live(), 1U);
  a = std::move(c);
  EXPECT_EQ(Live(), 1U);
  Root<Node>& alias = a;
  a = alias;
  EXPECT_EQ(a->value, 1U);
  b = a;
  a = NewNode(2);
  EXPECT_EQ(Live(), 2U);
  EXPECT_EQ(b->value, 1U);
}

TEST_F(RootTest, ConvertsToBaseAndConst) {
  Root<Derived> derived(mutator_, mutator_.New<Derived>());
  Root<Base> base = derived;
  Root<const Derived> constant = derived;
  derived = nullptr;
  EXPECT_EQ(Live(), 1U);
  EXPECT_EQ(base->b, 1U);
  EXPECT_EQ(constant->d, 2U);
}

TEST_F(RootTest, AssignsToBaseAndConst) {
  Root<Derived> derived(mutator_, mutator_.New<Derived>());
  Root<Base> base;
  Root<const Derived> constant;
  base = derived;
  constant = derived;
  derived = nullptr;
  EXPECT_EQ(Live(), 1U);
  EXPECT_EQ(base->b, 1U);
  EXPECT_EQ(constant->d, 2U);
}

TEST_F(RootTest, SurvivesBeingMovedToItself) {
  Root<Base> root(mutator_, mutator_.New<Base>());
  Root<Base>& same = root;
  root = std::move(same);
  EXPECT_EQ(Live(), 1U);
  EXPECT_NE(root.get(), nullptr);
}

TEST_F(RootTest, MovesFromHeapToHeap) {
  Heap other(ExactOptions());
  Mutator in_other(other);
  Root<Node> root(NewNode());
  root = in_other.New<Node>(uint64_t{8});
  EXPECT_EQ(Live(), 0U);
  other.Collect();
  EXPECT_EQ(root->value, 8U);
  EXPECT_EQ(other.ReadMemStats().heap_objects, 1U);
  root = NewNode(9);
  other.Collect();
  EXPECT_EQ(other.ReadMemStats().heap_objects, 0U);
}

TEST_F(RootTest, LivesInContainers) {
  std::vector<Root<Node>> vector;
  std::deque<Root<Node>> deque;
  std::map<int, Root<Node>> map;
  std::unordered_map<std::string, Root<Node>> table;
  std::optional<Root<Node>> optional;
  for (uint64_t i = 0; i < 3000; ++i) {
    vector.emplace_back(NewNode(i));
    deque.push_front(NewNode(i));
    map[static_cast<int>(i)] = NewNode(i);
    table[std::to_string(i)] = NewNode(i);
  }
  optional.emplace(NewNode(7));
  EXPECT_EQ(Live(), 12001U);
  for (uint64_t i = 0; i < 3000; ++i) {
    ASSERT_EQ(vector[i]->value, i);
    ASSERT_EQ(deque[2999 - i]->value, i);
    ASSERT_EQ(map[static_cast<int>(i)]->value, i);
    ASSERT_EQ(table[std::to_string(i)]->value, i);
  }
  vector.erase(vector.begin(), vector.begin() + 1000);
  deque.resize(10);
  map.clear();
  table.clear();
  optional.reset();
  EXPECT_EQ(Live(), 2010U);
  EXPECT_EQ(vector[0]->value, 1000U);
}

TEST_F(RootTest, SlotsAreReused) {
  for (int round = 0; round < 50; ++round) {
    std::vector<Root<Node>> roots(2000, Root<Node>(NewNode()));
    if (round % 2 == 0)
      std::move(roots.begin(), roots.end() - 1, roots.begin());
  }
  MutexLock lock(heap_.core().roots().mutex());
  EXPECT_LE(heap_.core().roots().block_count(), 8U);
}

TEST_F(RootTest, NullRootsMayOutliveTheHeap) {
  Root<Node> outlives;
  {
    Heap heap(ExactOptions());
    Mutator mutator(heap);
    outlives = mutator.New<Node>();
    outlives = nullptr;
  }
}

TEST_F(RootTest, WorksOnThreadsThatAreNotAttached) {
  Root<Node> root(NewNode(5));
  Root<Node> made_there;
  OnOtherThread([&] {
    Root<Node> copy = root;
    made_there = copy;
    root = nullptr;
    copy = nullptr;
  });
  EXPECT_EQ(Live(), 1U);
  EXPECT_EQ(made_there->value, 5U);
  {
    Mutator::NativeScope native(mutator_);
    root = made_there;
    made_there = nullptr;
    heap_.Collect();
  }
  EXPECT_EQ(root->value, 5U);
  EXPECT_EQ(Live(), 1U);
}

TEST_F(RootTest, MovesBetweenThreads) {
  std::vector<Root<Node>> roots;
  for (uint64_t i = 0; i < 2000; ++i) roots.emplace_back(NewNode(i));
  {
    Mutator::NativeScope native(mutator_);
    OnOtherThread([&] {
      Mutator mutator(heap_);
      roots.resize(1000);  // freed on a thread that did not make them
      for (uint64_t i = 0; i < 1000; ++i) {
        roots.emplace_back(mutator, mutator.New<Node>(i));
      }
    });
  }
  EXPECT_EQ(Live(), 2000U);
  roots.clear();
  EXPECT_EQ(Live(), 0U);
  EXPECT_EQ(heap_.core().roots().CountUsed(), 0U);
}

// A pointer goes from one Root to another, in blocks that are far apart, and is
// cleared in the first, over and over, by a thread that no stop waits for.
TEST_F(RootTest, AThreadThatIsNotAttachedCannotHideAnObjectFromTheMarker) {
  Root<Node> nothing(NewNode());
  Root<Node> low(NewNode(77));
  std::vector<Root<Node>> padding(20000, nothing);
  Root<Node> high(nothing);
  std::atomic<bool> done{false};
  std::thread mover([&] {
    while (!done) {
      high = low;
      low = nothing;
      low = high;
      high = nothing;
    }
  });
  for (int i = 0; i < 300; ++i) {
    heap_.Collect();
    for (int k = 0; k < 10; ++k) NewNode();
  }
  done = true;
  {
    Mutator::NativeScope native(mutator_);
    mover.join();
  }
  EXPECT_TRUE(low->intact());
  EXPECT_EQ(low->value, 77U);
  EXPECT_EQ(Live(), 2U);
}

}  // namespace
}  // namespace tricolor::runtime
