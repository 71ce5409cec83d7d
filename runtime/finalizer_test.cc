// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/finalizer.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

HeapOptions ByHand() {
  HeapOptions options = ExactOptions();
  options.cleanup_thread = false;
  return options;
}

class FinalizerTest : public testing::Test {
 protected:
  uint64_t Live() { return heap_.ReadMemStats().heap_objects; }

  Heap heap_{ByHand()};
  Mutator mutator_{heap_};
};

TEST_F(FinalizerTest, RunsOnceWithTheObjectAndAllThatItReaches) {
  Node* node = mutator_.New<Node>(uint64_t{7});
  Root<Node> root(mutator_, node);
  node->next = MakeList(mutator_, 1000);
  int runs = 0;
  EXPECT_TRUE(SetFinalizer(node, [&](Node* n) {
    ++runs;
    EXPECT_EQ(n, node);
    EXPECT_EQ(n->value, 7U);
    EXPECT_TRUE(ListIsIntact(n->next, 1000));
  }));
  heap_.Collect();
  EXPECT_EQ(heap_.RunCleanups(), 0U);
  root = nullptr;
  heap_.Collect();
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(Live(), 1001U);
  EXPECT_EQ(heap_.RunCleanups(), 1U);
  EXPECT_EQ(runs, 1);
  heap_.Collect();
  EXPECT_EQ(Live(), 0U);
  EXPECT_EQ(heap_.RunCleanups(), 0U);
}

TEST_F(FinalizerTest, WaitsThroughAnyNumberOfCollections) {
  Root<Node> root(mutator_, mutator_.New<Node>());
  root->next = MakeList(mutator_, 100);
  bool ran = false;
  SetFinalizer(root.get(), [&ran](Node* n) {
    ran = true;
    EXPECT_TRUE(ListIsIntact(n->next, 100));
  });
  root = nullptr;
  for (int i = 0; i < 5; ++i) {
    heap_.Collect();
    for (int k = 0; k < 1000; ++k) mutator_.New<Node>();  // reuse what is free
    EXPECT_GE(Live(), 101U);
  }
  EXPECT_EQ(heap_.RunCleanups(), 1U);
  EXPECT_TRUE(ran);
  heap_.CheckInvariants();
}

TEST_F(FinalizerTest, TheObjectIsKeptWhileItRuns) {
  bool ran = false;
  SetFinalizer(mutator_.New<Node>(uint64_t{3}), [&](Node* n) {
    heap_.Collect();
    for (int k = 0; k < 1000; ++k) mutator_.New<Leaf>();
    ran = n->intact() && n->value == 3;
  });
  heap_.Collect();
  heap_.RunCleanups();
  EXPECT_TRUE(ran);
}

TEST_F(FinalizerTest, TheObjectMayComeBackAndBeGivenAnother) {
  Root<Node> saved;
  int runs = 0;
  const auto save = [&](Node* n) {
    saved = n;
    ++runs;
  };
  Node* node = mutator_.New<Node>(uint64_t{5});
  ASSERT_TRUE(SetFinalizer(node, save));
  for (int life = 1; life <= 3; ++life) {
    saved = nullptr;
    heap_.Collect();
    heap_.RunCleanups();
    ASSERT_EQ(runs, life);
    ASSERT_EQ(saved.get(), node);
    for (int i = 0; i < 3; ++i) heap_.Collect();
    EXPECT_EQ(heap_.RunCleanups(), 0U);
    EXPECT_TRUE(saved->intact());
    EXPECT_EQ(saved->value, 5U);
    if (life < 3) ASSERT_TRUE(SetFinalizer(saved.get(), save));
  }
  saved = nullptr;
  heap_.Collect();
  EXPECT_EQ(Live(), 0U);
  EXPECT_EQ(heap_.RunCleanups(), 0U);
}

TEST_F(FinalizerTest, MaySetItselfAgain) {
  struct Again {
    int* runs;
    void operator()(Node* n) const {
      if (++*runs < 4) EXPECT_TRUE(SetFinalizer(n, *this));
    }
  };
  int runs = 0;
  SetFinalizer(mutator_.New<Node>(), Again{&runs});
  for (int i = 0; i < 10; ++i) {
    heap_.Collect();
    heap_.RunCleanups();
  }
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(Live(), 0U);
}

TEST_F(FinalizerTest, WeakPointersAreNullBeforeAndForEver) {
  Root<Node> saved;
  Weak<Node> weak;
  bool was_null = false;
  {
    Node* node = mutator_.New<Node>();
    weak = Weak<Node>(node);
    SetFinalizer(node, [&](Node* n) {
      was_null = weak.expired();
      saved = n;
    });
  }
  EXPECT_FALSE(weak.expired());
  heap_.Collect();
  EXPECT_TRUE(weak.expired());  // from when it was queued
  heap_.RunCleanups();
  EXPECT_TRUE(was_null);
  EXPECT_TRUE(weak.expired());
  Weak<Node> second(saved.get());
  EXPECT_NE(weak, second);
  EXPECT_EQ(second.Get(), saved.get());
  heap_.Collect();
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(second.Get(), saved.get());
  saved = nullptr;
  heap_.Collect();
  EXPECT_TRUE(second.expired());
}

TEST_F(FinalizerTest, WeakPointersToWhatItReachesStayAsLongAsThat) {
  Root<Node> root(mutator_, mutator_.New<Node>());
  root->next = mutator_.New<Node>();
  Weak<Node> weak(root->next.get());
  SetFinalizer(root.get(), [&](Node* n) { EXPECT_EQ(weak.Get(), n->next); });
  root = nullptr;
  heap_.Collect();
  EXPECT_FALSE(weak.expired());
  EXPECT_EQ(heap_.RunCleanups(), 1U);
  heap_.Collect();
  EXPECT_TRUE(weak.expired());
}

TEST_F(FinalizerTest, CleanupsRunOnlyWhenTheObjectFinallyDies) {
  Root<Node> saved;
  std::string order;
  {
    Node* node = mutator_.New<Node>();
    AddCleanup(node, [&order] { order += "c"; });
    SetFinalizer(node, [&](Node* n) {
      order += "f";
      saved = n;
    });
    AddCleanup(node, [&order] { order += "d"; });
  }
  heap_.Collect();
  EXPECT_EQ(heap_.RunCleanups(), 1U);
  heap_.Collect();
  EXPECT_EQ(heap_.RunCleanups(), 0U);
  saved = nullptr;
  heap_.Collect();
  EXPECT_EQ(heap_.RunCleanups(), 2U);
  EXPECT_EQ(order, "fcd");
}

TEST_F(FinalizerTest, OfObjectsThatReachEachOtherOneRunsEachCycle) {
  constexpr uint64_t kLength = 10;
  std::vector<uint64_t> order;
  {
    Root<Node> head(mutator_, MakeList(mutator_, kLength));
    for (Node* n = head; n != nullptr; n = n->next) {
      SetFinalizer(n, [&order](Node* self) {
        EXPECT_TRUE(self->intact());
        order.push_back(self->value);
      });
    }
  }
  for (uint64_t i = 0; i < kLength; ++i) {
    heap_.Collect();
    EXPECT_EQ(heap_.RunCleanups(), 1U);
    ASSERT_EQ(order.size(), i + 1);
    EXPECT_EQ(order.back(), i);
  }
  heap_.Collect();
  EXPECT_EQ(Live(), 0U);
}

TEST_F(FinalizerTest, AnObjectThatReachesItselfIsNeverFound) {
  {
    Root<Node> self(mutator_, mutator_.New<Node>());
    self->next = self;
    SetFinalizer(self.get(), [](Node*) {});
    Root<Node> pair(mutator_, MakeList(mutator_, 2));
    pair->next->next = pair;
    SetFinalizer(pair.get(), [](Node*) {});
  }
  for (int i = 0; i < 3; ++i) {
    heap_.Collect();
    EXPECT_EQ(heap_.RunCleanups(), 0U);
  }
  EXPECT_EQ(Live(), 3U);
}

// ---- What an object points to is found in every layout.

struct Wide {  // with a type header
  TRICOLOR_TRACE(Wide, children);
  uint64_t data[100] = {};
  Ptr<Node> children[2];
};
struct Huge {  // large: several slices
  TRICOLOR_TRACE(Huge, first, last);
  Ptr<Node> first;
  unsigned char bytes[1 << 20] = {};
  Ptr<Node> last;
};
struct Called {
  void Trace(PointerVisitor& visitor) const { visitor.Visit(child); }
  Node* child = nullptr;
};
struct Unknown {  // conservative
  Node* child = nullptr;
  uint64_t more[3] = {};
};

template <typename T, typename GetChild>
void CheckLayout(Heap& heap, Mutator& mutator, GetChild child_of) {
  int runs = 0;
  {
    Root<T> root(mutator, mutator.New<T>());
    child_of(root.get()) = mutator.New<Node>(uint64_t{99});
    SetFinalizer(root.get(), [&](T* object) {
      Node* child = child_of(object);
      EXPECT_TRUE(child->intact());
      EXPECT_EQ(child->value, 99U);
      ++runs;
    });
  }
  heap.Collect();
  for (int i = 0; i < 1000; ++i) mutator.New<Node>();
  heap.RunCleanups();
  EXPECT_EQ(runs, 1);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

TEST_F(FinalizerTest, WhatItPointsToIsKeptInEveryLayout) {
  CheckLayout<Node>(
      heap_, mutator_, [](Node * n) -> auto& { return n->other; });
  CheckLayout<Wide>(
      heap_, mutator_, [](Wide * w) -> auto& { return w->children[1]; });
  CheckLayout<Huge>(
      heap_, mutator_, [](Huge * h) -> auto& { return h->first; });
  CheckLayout<Huge>(
      heap_, mutator_, [](Huge * h) -> auto& { return h->last; });
  CheckLayout<Called>(
      heap_, mutator_, [](Called * c) -> auto& { return c->child; });
  CheckLayout<Unknown>(
      heap_, mutator_, [](Unknown * u) -> auto& { return u->child; });
}

TEST_F(FinalizerTest, ObjectsWithoutPointersMayHaveOne) {
  int runs = 0;
  const auto count = [&runs](const auto* p) {
    EXPECT_NE(p, nullptr);
    ++runs;
  };
  SetFinalizer(mutator_.New<Leaf>(), count);
  SetFinalizer(mutator_.New<Large>(), count);
  struct Two {
    uint64_t words[2];
  };
  SetFinalizer(static_cast<Two*>(mutator_.Allocate(TypeInfoOf<Leaf>(), 1)),
               count);
  heap_.Collect();
  EXPECT_EQ(heap_.RunCleanups(), 3U);
  EXPECT_EQ(runs, 3);
}

TEST_F(FinalizerTest, ManyInOneSpanAndInManySpansAllRun) {
  constexpr int kObjects = 20000;
  int runs = 0;
  {
    Root<Node> keep;
    for (int i = 0; i < kObjects; ++i) {
      Root<Node> node(mutator_, mutator_.New<Node>());
      node->next = mutator_.New<Node>(static_cast<uint64_t>(i));
      SetFinalizer(node.get(), [&runs, i](Node* n) {
        runs += n->next->value == static_cast<uint64_t>(i);
      });
      if (i % 7 == 0) keep = node;
    }
    heap_.CheckInvariants();
  }
  heap_.Collect();
  for (int i = 0; i < kObjects; ++i) mutator_.New<Node>();
  EXPECT_EQ(heap_.RunCleanups(), static_cast<size_t>(kObjects));
  EXPECT_EQ(runs, kObjects);
}

// ---- Taking off, failure and misuse.

TEST_F(FinalizerTest, ClearTakesItOff) {
  Root<Node> root(mutator_, mutator_.New<Node>());
  auto token = std::make_shared<int>(0);
  EXPECT_FALSE(ClearFinalizer(root.get()));
  SetFinalizer(root.get(), [token](Node*) {});
  EXPECT_EQ(token.use_count(), 2);
  EXPECT_TRUE(ClearFinalizer(root.get()));
  EXPECT_EQ(token.use_count(), 1);
  SetFinalizer(root.get(), [token](Node*) {});
  EXPECT_TRUE(SetFinalizer(root.get(), nullptr));
  EXPECT_FALSE(SetFinalizer(root.get(), nullptr));
  EXPECT_EQ(token.use_count(), 1);
  root = nullptr;
  heap_.Collect();
  EXPECT_EQ(heap_.RunCleanups(), 0U);
  EXPECT_EQ(Live(), 0U);
}

// On threads for which setting and clearing wait for their turn to collect,
// which whoever uses the heap in the callable's destructor waits for, too.
TEST_F(FinalizerTest, OneThatIsClearedMayUseTheHeapInItsDestructor) {
  Root<Node> root(mutator_, mutator_.New<Node>());
  Root<Node> other(mutator_, mutator_.New<Node>());
  int destroyed = 0;
  const auto set = [&] {
    std::shared_ptr<int> token(new int(0), [&](const int* p) {
      delete p;
      heap_.Collect();
      EXPECT_FALSE(Weak<Node>(other.get()).expired());
      EXPECT_TRUE(AddCleanup(other.get(), [] {}).Stop());
      EXPECT_TRUE(SetFinalizer(other.get(), [](Node*) {}));
      EXPECT_TRUE(ClearFinalizer(other.get()));
      ++destroyed;
    });
    EXPECT_TRUE(SetFinalizer(root.get(), [token](Node*) {}));
  };
  set();
  EXPECT_TRUE(ClearFinalizer(root.get()));
  EXPECT_EQ(destroyed, 1);
  Mutator::NativeScope native(mutator_);
  set();
  EXPECT_TRUE(ClearFinalizer(root.get()));
  EXPECT_FALSE(ClearFinalizer(root.get()));
  EXPECT_EQ(destroyed, 2);
  OnOtherThread([&] {
    set();
    EXPECT_TRUE(ClearFinalizer(root.get()));
    EXPECT_FALSE(ClearFinalizer(root.get()));
  });
  EXPECT_EQ(destroyed, 3);
}

TEST_F(FinalizerTest, ClearIsTooLateInItsOwnCall) {
  int runs = 0;
  SetFinalizer(mutator_.New<Node>(), [&runs](Node* n) {
    EXPECT_FALSE(ClearFinalizer(n));
    ++runs;
  });
  heap_.Collect();
  EXPECT_EQ(heap_.RunCleanups(), 1U);
  EXPECT_EQ(runs, 1);
  heap_.Collect();
  EXPECT_EQ(Live(), 0U);
}

TEST_F(FinalizerTest, ExceptionsAreReportedInOneLine) {
  SetFinalizer(mutator_.New<Node>(),
               [](Node*) { throw std::runtime_error("the sky fell"); });
  heap_.Collect();
  testing::internal::CaptureStderr();
  EXPECT_EQ(heap_.RunCleanups(), 1U);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "tricolor: a finalizer threw an exception: the sky fell\n");
  heap_.Collect();
  EXPECT_EQ(Live(), 0U);
}

TEST_F(FinalizerTest, NoMemoryIsAValue) {
  FakeOsMemory os({.protect = false});
  HeapOptions options = ByHand();
  options.os = &os;
  options.reservation_bytes = size_t{64} << 20;
  Heap heap(options);
  Mutator mutator(heap);
  std::vector<Root<Node>> roots;
  for (int i = 0; i < 20000; ++i) roots.emplace_back(mutator.New<Node>());
  auto token = std::make_shared<int>(0);
  os.FailFrom(1);
  size_t set = 0;
  while (set < roots.size() &&
         SetFinalizer(roots[set].get(), [token](Node*) {})) {
    ++set;
  }
  ASSERT_LT(set, roots.size());
  EXPECT_EQ(token.use_count(), static_cast<long>(1 + set));
  os.StopFailing();
  EXPECT_TRUE(SetFinalizer(roots[set].get(), [token](Node*) {}));
  roots.clear();
  heap.Collect();
  EXPECT_EQ(heap.RunCleanups(), set + 1);
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(FinalizerTest, MisuseIsFatal) {
  Root<Node> root(mutator_, mutator_.New<Node>());
  SetFinalizer(root.get(), [](Node*) {});
  EXPECT_DEATH(SetFinalizer(root.get(), [](Node*) {}),
               "the object at .* has a finalizer already");
  Node on_stack;
  EXPECT_DEATH(SetFinalizer(&on_stack, [](Node*) {}),
               "a finalizer of .*, which lies in no heap");
  EXPECT_DEATH(ClearFinalizer(&on_stack), "lies in no heap");
  auto* tiny = mutator_.New<int>();
  EXPECT_DEATH(SetFinalizer(tiny, [](int*) {}),
               "a finalizer of .*, 4 bytes without pointers that may share a "
               "block with other objects; expected 16 bytes or more");
}

TEST(FinalizerHeapTest, IsDroppedWithTheHeap) {
  auto token = std::make_shared<int>(0);
  bool ran = false;
  {
    Heap heap(ByHand());
    Mutator mutator(heap);
    SetFinalizer(mutator.New<Node>(), [&ran, token](Node*) { ran = true; });
    SetFinalizer(mutator.New<Node>(), [&ran, token](Node*) { ran = true; });
    heap.Collect();  // queued
    SetFinalizer(mutator.New<Node>(), [&ran, token](Node*) { ran = true; });
    EXPECT_EQ(token.use_count(), 4);
  }
  EXPECT_FALSE(ran);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(FinalizerHeapTest, TheExecutorRunsThem) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  std::atomic<int> runs{0};
  for (int i = 0; i < 100; ++i) {
    OnOtherThread([&] {
      Mutator own(heap);
      SetFinalizer(own.New<Node>(), [&](Node* n) {
        EXPECT_NE(Mutator::Current(heap), nullptr);
        EXPECT_TRUE(n->intact());
        ++runs;
      });
    });
  }
  Mutator::NativeScope native(mutator);
  heap.Collect();
  while (runs < 95) std::this_thread::yield();  // stacks may keep a few
}

// The sweeper has not come by: the marks decide.
TEST(FinalizerHeapTest, WeakPointersAreNullBeforeTheSpanIsSwept) {
  HeapOptions options = ByHand();
  options.background_sweep = false;
  options.min_heap_bytes = 1 << 20;
  Heap heap(options);
  Mutator mutator(heap);
  std::vector<Weak<Node>> weak;
  std::vector<uint64_t> nodes;  // complemented
  for (uint64_t i = 0; i < 5000; ++i) {
    Node* node = mutator.New<Node>(i);
    weak.emplace_back(node);
    nodes.push_back(~reinterpret_cast<uint64_t>(node));
    ASSERT_TRUE(SetFinalizer(node, [](Node*) {}));
  }
  heap.SetGcPercent(100);
  const uint64_t before = heap.ReadMemStats().num_gc;
  while (heap.ReadMemStats().num_gc == before) mutator.New<Leaf>();
  const mheap::MHeap& mheap = heap.core().mheap();
  const auto unswept =
      std::count_if(nodes.begin(), nodes.end(), [&mheap](uint64_t hidden) {
        const mheap::MSpan* span = mheap.HeapSpanOf(Addr(~hidden));
        return span != nullptr && span->sweep_gen() == mheap.sweep_gen() - 2;
      });
  EXPECT_GT(unswept, 0);
  for (const Weak<Node>& w : weak) ASSERT_TRUE(w.expired());
}

// Objects with finalizers die on several threads, which collect at any time;
// readers of their weak pointers never find one that has come back.
TEST(FinalizerHeapTest, EachRunsOnceWithAnIntactObject) {
  HeapOptions options = QuietOptions();
  options.gc_percent = 100;
  options.min_heap_bytes = 256 << 10;
  options.gc_threads = 4;
  Heap heap(options);
  constexpr int kThreads = 3;
  constexpr int kEach = 3000;
  std::vector<std::atomic<int>> runs(kThreads * kEach);
  std::atomic<int> total{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Mutator mutator(heap);
      Weak<Node> weak[16];
      for (int i = 0; i < kEach; ++i) {
        const int id = t * kEach + i;
        Node* node = mutator.New<Node>(static_cast<uint64_t>(id));
        node->next = mutator.New<Node>(static_cast<uint64_t>(id));
        Weak<Node>& w = weak[i % 16];
        if (Node* old = w.Get()) {
          ASSERT_TRUE(old->intact());
          ASSERT_EQ(runs[old->value], 0);
        }
        w = Weak<Node>(node);
        ASSERT_TRUE(SetFinalizer(node, [&, id, w](Node* n) {
          EXPECT_TRUE(w.expired());
          EXPECT_EQ(n->value, static_cast<uint64_t>(id));
          EXPECT_EQ(n->next->value, n->value);
          ++runs[static_cast<size_t>(id)];
          ++total;
        }));
        for (int k = 0; k < 5; ++k) mutator.New<Leaf>();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  heap.Collect();
  heap.RunCleanups();
  // Words on stacks may keep a few.
  while (total < kThreads * kEach - 100) std::this_thread::yield();
  for (const std::atomic<int>& n : runs) EXPECT_LE(n, 1);
  heap.CheckInvariants();
}

}  // namespace
}  // namespace tricolor::runtime
