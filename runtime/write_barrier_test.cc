// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Each part of the barrier, in a collection that is paused where the part is
// what keeps an object (marking_testing.h). A second marker checks each.

#include "tricolor/runtime/write_barrier.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/attributes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/runtime/barrier_c.h"
#include "tricolor/runtime/barrier_c_client.h"
#include "tricolor/runtime/marking_testing.h"
#include "tricolor/runtime/no_preempt.h"

namespace tricolor::runtime {
namespace {

// A way to store, and one to move a pointer from one object to another.
struct Way {
  const char* name;
  void (*set)(Fields& fields, Node* node);
  void (*move)(Fields& from, Fields& to);
  Node* (*get)(const Fields& fields);
};

// As C sees it.
void** Word(Fields& fields) { return reinterpret_cast<void**>(&fields.raw); }

constexpr Way kWays[] = {
    {"Ptr", [](Fields& f, Node* n) { f.ptr = n; },
     [](Fields& from, Fields& to) {
       to.ptr = from.ptr;
       from.ptr = nullptr;
     },
     [](const Fields& f) { return f.ptr.get(); }},
    {"PtrSwap", [](Fields& f, Node* n) { f.ptr = n; },
     [](Fields& from, Fields& to) { std::swap(from.ptr, to.ptr); },
     [](const Fields& f) { return f.ptr.get(); }},
    {"AtomicPtrStore", [](Fields& f, Node* n) { f.atomic.store(n); },
     [](Fields& from, Fields& to) {
       to.atomic.store(from.atomic.load(), std::memory_order_relaxed);
       from.atomic.store(nullptr, std::memory_order_release);
     },
     [](const Fields& f) { return f.atomic.load(); }},
    {"AtomicPtrExchange", [](Fields& f, Node* n) { f.atomic.exchange(n); },
     [](Fields& from, Fields& to) {
       to.atomic.exchange(from.atomic.exchange(nullptr));
     },
     [](const Fields& f) { return f.atomic.load(); }},
    {"AtomicPtrCompareExchange",
     [](Fields& f, Node* n) {
       Node* none = nullptr;
       ASSERT_TRUE(f.atomic.compare_exchange_weak(none, n));
     },
     [](Fields& from, Fields& to) {
       Node* node = nullptr;
       ASSERT_FALSE(from.atomic.compare_exchange_strong(node, nullptr));
       ASSERT_TRUE(from.atomic.compare_exchange_strong(
           node, nullptr, std::memory_order_acq_rel));
       Node* none = nullptr;
       ASSERT_TRUE(to.atomic.compare_exchange_strong(
           none, node, std::memory_order_release, std::memory_order_relaxed));
     },
     [](const Fields& f) { return f.atomic.load(); }},
    {"StorePointer", [](Fields& f, Node* n) { StorePointer(f.raw, n); },
     [](Fields& from, Fields& to) {
       StorePointer(to.raw, from.raw);
       StorePointer<Node>(from.raw, nullptr);
     },
     [](const Fields& f) { return LoadWordRelaxed(&f.raw); }},
    {"PtrArray",
     [](Fields& f, Node* n) {
       const Ptr<Node> values[] = {nullptr, n, nullptr};
       CopyPtrs(f.array, values, Fields::kLength);
     },
     [](Fields& from, Fields& to) {
       MovePtrs(to.array, from.array, Fields::kLength);
       ClearPtrs(from.array, Fields::kLength);
     },
     [](const Fields& f) { return f.array[1].get(); }},
    {"StdCopy",
     [](Fields& f, Node* n) {
       const Ptr<Node> values[] = {nullptr, n, nullptr};
       std::copy(values, values + Fields::kLength, f.array);
     },
     [](Fields& from, Fields& to) {
       std::move(from.array, from.array + Fields::kLength, to.array);
       std::fill(from.array, from.array + Fields::kLength, nullptr);
     },
     [](const Fields& f) { return f.array[1].get(); }},
    {"StoreInC", [](Fields& f, Node* n) { client_store(Word(f), n); },
     [](Fields& from, Fields& to) {
       client_store(Word(to), from.raw);
       client_store(Word(from), nullptr);
     },
     [](const Fields& f) { return LoadWordRelaxed(&f.raw); }},
    {"ExchangeInC", [](Fields& f, Node* n) { client_exchange(Word(f), n); },
     [](Fields& from, Fields& to) {
       client_exchange(Word(to), client_exchange(Word(from), nullptr));
     },
     [](const Fields& f) { return LoadWordRelaxed(&f.raw); }},
    {"CompareExchangeInC",
     [](Fields& f, Node* n) {
       void* none = nullptr;
       ASSERT_TRUE(client_compare_exchange(Word(f), &none, n));
     },
     [](Fields& from, Fields& to) {
       void* node = nullptr;
       ASSERT_FALSE(client_compare_exchange(Word(from), &node, nullptr));
       ASSERT_TRUE(client_compare_exchange(Word(from), &node, nullptr));
       void* none = nullptr;
       ASSERT_TRUE(client_compare_exchange(Word(to), &none, node));
     },
     [](const Fields& f) { return LoadWordRelaxed(&f.raw); }},
    {"ArrayInC",
     [](Fields& f, Node* n) {
       void* const values[] = {n};
       client_move(Word(f), values, 1);
     },
     [](Fields& from, Fields& to) {
       client_move(Word(to), Word(from), 1);
       client_clear(Word(from), 1);
     },
     [](const Fields& f) { return LoadWordRelaxed(&f.raw); }},
    {"ArrayByHandInC",
     [](Fields& f, Node* n) {
       void* const values[] = {n};
       client_copy_by_hand(Word(f), values, 1);
     },
     [](Fields& from, Fields& to) {
       client_copy_by_hand(Word(to), Word(from), 1);
       client_clear_by_hand(Word(from), 1);
     },
     [](const Fields& f) { return LoadWordRelaxed(&f.raw); }},
};

class EachWay : public testing::TestWithParam<Way> {};

INSTANTIATE_TEST_SUITE_P(Ways, EachWay, testing::ValuesIn(kWays),
                         [](const auto& param_info) {
                           return std::string(param_info.param.name);
                         });

// Deletion: the stack of this thread is black, so nothing records the new
// value.
TEST_P(EachWay, WhatIsMovedBehindTheMarkerIsKept) {
  PausedHeap paused(/*conservative_stacks=*/false);
  Mutator mutator(paused.heap());
  GetParam().set(paused.ahead(), mutator.New<Node>(7u));
  {
    PausedMarking pause(paused.heap(), &mutator);
    EXPECT_TRUE(client_any_heap_marks());
    GetParam().move(paused.ahead(), paused.behind());
  }
  EXPECT_FALSE(client_any_heap_marks());
  EXPECT_EQ(GetParam().get(paused.ahead()), nullptr);
  const Node* node = GetParam().get(paused.behind());
  ASSERT_TRUE(node->intact());
  EXPECT_EQ(node->value, 7);
}

// Insertion: what a thread holds whose stack has not been scanned may be known
// to nobody else.
TEST_P(EachWay, WhatAnUnscannedStackHoldsIsKeptBehindTheMarker) {
  PausedHeap paused(/*conservative_stacks=*/true);
  HiddenNode hidden;
  OnOtherThread([&] {
    Mutator mutator(paused.heap());
    hidden.Set(mutator.New<Node>(8u));
  });
  {
    PausedMarking pause(paused.heap());
    OnOtherThread([&] {
      Mutator mutator(paused.heap());
      GetParam().set(paused.behind(), hidden.Get());
    });
  }
  const Node* node = GetParam().get(paused.behind());
  ASSERT_TRUE(node->intact());
  EXPECT_EQ(node->value, 8);
}

TEST_P(EachWay, AThreadOfTwoHeapsRecordsForTheOneThatMarks) {
  for (const bool marking_one_first : {false, true}) {
    std::optional<PausedHeap> other;
    if (!marking_one_first) other.emplace(/*conservative_stacks=*/false);
    PausedHeap paused(/*conservative_stacks=*/false);
    if (marking_one_first) other.emplace(/*conservative_stacks=*/false);
    std::optional<Mutator> elsewhere;
    if (!marking_one_first) elsewhere.emplace(other->heap());
    Mutator mutator(paused.heap());
    if (marking_one_first) elsewhere.emplace(other->heap());
    GetParam().set(paused.ahead(), mutator.New<Node>(9u));
    {
      PausedMarking pause(paused.heap(), &mutator);
      GetParam().move(paused.ahead(), paused.behind());
    }
    EXPECT_TRUE(GetParam().get(paused.behind())->intact());
  }
}

TEST(WriteBarrierTest, ArraysThatOverlapAreMovedInC) {
  int targets[4];
  void* array[] = {&targets[0], &targets[1], &targets[2], &targets[3]};
  client_move(array + 1, array, 3);
  EXPECT_THAT(array, testing::ElementsAre(&targets[0], &targets[0], &targets[1],
                                          &targets[2]));
  client_move(array, array + 1, 3);
  EXPECT_THAT(array, testing::ElementsAre(&targets[0], &targets[1], &targets[2],
                                          &targets[2]));
  client_clear(array + 1, 2);
  EXPECT_THAT(array,
              testing::ElementsAre(&targets[0], nullptr, nullptr, &targets[2]));
}

TEST(WriteBarrierTest, WhatAWeakPointerGivesIsKept) {
  PausedHeap paused(/*conservative_stacks=*/false);
  Mutator mutator(paused.heap());
  const Weak<Node> weak(mutator.New<Node>(1u));
  {
    PausedMarking pause(paused.heap(), &mutator);
    paused.behind().ptr = weak.Get();
  }
  EXPECT_TRUE(paused.behind().ptr->intact());
  EXPECT_EQ(weak.Get(), paused.behind().ptr);
}

// Ranges have no barrier: what a thread has put into one before its stack is
// scanned is looked for there when that is done.
TEST(WriteBarrierTest, WhatAnUnscannedThreadPutsIntoARangeIsKept) {
  PausedHeap paused(/*conservative_stacks=*/true);
  HiddenNode hidden;
  OnOtherThread([&] {
    Mutator mutator(paused.heap());
    hidden.Set(mutator.New<Node>(9u));
  });
  static Node* range[1];
  paused.heap().AddRootRange(range, sizeof range);
  {
    PausedMarking pause(paused.heap());
    OnOtherThread([&] {
      Mutator mutator(paused.heap());
      OnOtherThread([&] { range[0] = hidden.Get(); });
      mutator.Safepoint();
      paused.behind().ptr = range[0];
      range[0] = nullptr;
    });
  }
  paused.heap().RemoveRootRange(range);
  ASSERT_TRUE(paused.behind().ptr->intact());
  EXPECT_EQ(paused.behind().ptr->value, 9);
}

// The job for objects with finalizers has found none.
TEST(WriteBarrierTest, WhatAnObjectLeadsToThatGetsAFinalizerIsKept) {
  PausedHeap paused(/*conservative_stacks=*/true);
  HiddenNode hidden;
  OnOtherThread([&] {
    Mutator mutator(paused.heap());
    Node* node = mutator.New<Node>(2u);
    node->next = mutator.New<Node>(3u);
    hidden.Set(node);
  });
  uint64_t seen = 0;
  {
    PausedMarking pause(paused.heap());
    OnOtherThread([&] {
      Mutator mutator(paused.heap());
      SetFinalizer(hidden.Get(), [&seen](Node* node) {
        if (node->next->intact()) seen = node->next->value;
      });
    });
  }
  paused.heap().Collect();
  paused.heap().RunCleanups();
  EXPECT_EQ(seen, 3);
}

// The job for due finalizers, a root, comes after the pause.
TEST(WriteBarrierTest, WhatAFinalizerStoresBehindTheMarkerIsKept) {
  PausedHeap paused(/*conservative_stacks=*/false);
  Mutator mutator(paused.heap());
  SetFinalizer(mutator.New<Node>(4u),
               [&paused](Node* node) { paused.behind().ptr = node; });
  paused.heap().Collect();
  {
    PausedMarking pause(paused.heap(), &mutator);
    EXPECT_EQ(paused.heap().RunCleanups(), 1);
  }
  EXPECT_TRUE(paused.behind().ptr->intact());
  EXPECT_EQ(paused.behind().ptr->value, 4);
}

// Copies a Root into a block that the marker does not read any more, and drops
// the original in one that it has not read.
class RootBarrierTest : public testing::Test {
 protected:
  static constexpr size_t kFillers = 3 * RootBlock::kSlots;

  RootBarrierTest() : heap_(PausableOptions(/*conservative_stacks=*/false)) {
    OnOtherThread([this] {
      Mutator mutator(heap_);
      original_ = mutator.New<Node>(5u);
      for (size_t i = 0; i < kFillers; ++i) {
        fillers_.emplace_back(mutator.New<Node>());
      }
      holder_ = mutator.New<Holder>();
      holder_->gate = mutator.New<Gate>();
    });
  }
  void CopyAndDrop() {
    copy_ = original_;
    original_ = nullptr;
  }

  Heap heap_;
  Root<Node> original_;
  std::vector<Root<Node>> fillers_;
  Root<Holder> holder_;
  Root<Node> copy_;
};

TEST_F(RootBarrierTest, RootsOfThreadsThatAreNotAttachedAreRecorded) {
  {
    PausedMarking pause(heap_);
    CopyAndDrop();
  }
  EXPECT_TRUE(copy_->intact());
}

// Of what only an unscanned stack holds, from which the thread may have it.
TEST_F(RootBarrierTest, NewRootsOfThreadsThatAreNotAttachedAreRecorded) {
  HiddenNode hidden;
  OnOtherThread([&] {
    Mutator mutator(heap_);
    hidden.Set(mutator.New<Node>(6u));
  });
  {
    PausedMarking pause(heap_);
    OnOtherThread([&] { copy_ = hidden.Get(); });
  }
  EXPECT_TRUE(copy_->intact());
}

TEST_F(RootBarrierTest, RootsOfNativeThreadsAreRecorded) {
  Mutator mutator(heap_);
  {
    PausedMarking pause(heap_, &mutator);
    Mutator::NativeScope native(mutator);
    CopyAndDrop();
  }
  EXPECT_TRUE(copy_->intact());
}

TEST_F(RootBarrierTest, RootsOfManagedThreadsAreRecorded) {
  Mutator mutator(heap_);
  {
    PausedMarking pause(heap_, &mutator);
    CopyAndDrop();
  }
  EXPECT_TRUE(copy_->intact());
}

TEST(NoPreemptInCTest, ScopesNest) {
  tricolor_begin_no_preempt();
  tricolor_begin_no_preempt();
  EXPECT_EQ(no_preempt_depth.LoadRelaxed(), 2U);
  tricolor_end_no_preempt();
  EXPECT_EQ(no_preempt_depth.LoadRelaxed(), 1U);
  tricolor_end_no_preempt();
  EXPECT_EQ(no_preempt_depth.LoadRelaxed(), 0U);
}

// ---- Without the barrier.

class BypassedBarrierDeathTest : public testing::Test {
 protected:
  BypassedBarrierDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static void StorePlainly(Node*& field, Node* node) {
    std::atomic_ref<Node*>(field).store(node, std::memory_order_release);
  }
  // Moves a pointer in T* fields.
  static void MoveBehindTheMarker(void (*store)(Node*&, Node*)) {
    PausedHeap paused(/*conservative_stacks=*/false);
    Mutator mutator(paused.heap());
    StorePointer(paused.ahead().raw, mutator.New<Node>(6u));
    PausedMarking pause(paused.heap(), &mutator);
    store(paused.behind().raw, paused.ahead().raw);
    store(paused.ahead().raw, nullptr);
  }
};

TEST_F(BypassedBarrierDeathTest, AnOverwrittenPointerThatIsNotRecordedIsFound) {
  MoveBehindTheMarker(&StorePointer<Node>);
  EXPECT_DEATH(MoveBehindTheMarker(&StorePlainly),
               "fatal: object 0x[0-9a-f]+ is reachable and not marked; object "
               "0x[0-9a-f]+ holds 0x[0-9a-f]+; span: ");
}

}  // namespace
}  // namespace tricolor::runtime
