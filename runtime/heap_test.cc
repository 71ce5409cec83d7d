// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/heap.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

struct Pair {
  TRICOLOR_TRACE(Pair, p);
  Ptr<Node> p;
  int64_t number = 5;
};

struct alignas(256) Line {
  TRICOLOR_TRACE(Line, next);
  Ptr<Node> next;
};
struct alignas(64) Plain {
  TRICOLOR_TRACE(Plain);
  char c[64];
};

struct Callback {
  void Trace(PointerVisitor& visitor) const { visitor.Visit(hidden); }
  Node* hidden = nullptr;
  uint64_t noise[100] = {};
};
struct Untold {  // traced conservatively
  uint64_t number = 1;
  Node* pointer = nullptr;
};
struct Big {
  TRICOLOR_TRACE(Big, last);
  uint64_t noise[1000] = {};
  Ptr<Node> last;
};

struct Thrower {
  TRICOLOR_TRACE(Thrower);
  Thrower() { throw 1; }
  int x = 0;
};

TEST(HeapTest, NewRunsTheConstructorOnZeroedMemory) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  Node* node = mutator.New<Node>(uint64_t{7});
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->value, 7U);
  EXPECT_EQ(node->next, nullptr);
  EXPECT_TRUE(node->intact());
  EXPECT_EQ(*mutator.New<int>(41), 41);
  EXPECT_EQ(*mutator.New<double>(), 0.0);
  Large* large = mutator.New<Large>();
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(large->bytes[0], 0);
  EXPECT_EQ(large->bytes[sizeof large->bytes - 1], 0);
  heap.CheckInvariants();
}

TEST(HeapTest, ReusedMemoryIsZeroed) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  for (int round = 0; round < 4; ++round) {
    for (size_t i = 0; i < 2000; ++i) {
      const size_t n = 1 + i % 200;
      auto* words =
          static_cast<uint64_t*>(mutator.Allocate(TypeInfoOf<uint64_t>(), n));
      ASSERT_NE(words, nullptr);
      for (size_t k = 0; k < n; ++k) ASSERT_EQ(words[k], 0U);
      std::memset(words, 0xff, 8 * n);
    }
    heap.Collect();
  }
}

TEST(HeapTest, ArraysAreValueInitialized) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  for (const size_t n : {0U, 1U, 2U, 31U, 32U, 1000U, 100000U}) {
    Pair* pairs = mutator.NewArray<Pair>(n);
    Ptr<Node>* pointers = mutator.NewArray<Ptr<Node>>(n);
    char* text = mutator.NewArray<char>(n);
    ASSERT_TRUE(pairs != nullptr && pointers != nullptr && text != nullptr);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_EQ(pairs[i].number, 5);
      EXPECT_EQ(pairs[i].p, nullptr);
      EXPECT_EQ(pointers[i], nullptr);
      EXPECT_EQ(text[i], 0);
    }
  }
  heap.CheckInvariants();
}

TEST(HeapTest, PointersInArraysKeepTheirTargets) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  for (const size_t n : {1U, 10U, 100U, 1000U, 50000U}) {
    Root<Ptr<Node>> array(mutator, mutator.NewArray<Ptr<Node>>(n));
    for (size_t i = 0; i < n; ++i) {
      Node* node = mutator.New<Node>(i);
      array.get()[i] = node;
    }
    heap.Collect();
    for (size_t i = 0; i < n; ++i) {
      ASSERT_TRUE(array.get()[i]->intact());
      ASSERT_EQ(array.get()[i]->value, i);
    }
  }
}

TEST(HeapTest, OverAlignedTypesAreAligned) {
  Heap heap(QuietOptions());
  Mutator mutator(heap);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(mutator.New<Line>()) % 256, 0U);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(mutator.New<Plain>()) % 64, 0U);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(mutator.NewArray<Line>(5)) % 256, 0U);
  }
}

TEST(HeapTest, GarbageIsCollectedAndWhatIsReachableStays) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 1000));
  for (int i = 0; i < 5000; ++i) mutator.New<Node>();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 6000U);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 1000U);
  EXPECT_TRUE(ListIsIntact(list, 1000));
  list = nullptr;
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
  heap.CheckInvariants();
}

TEST(HeapTest, CyclesOfGarbageAreCollected) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  for (int i = 0; i < 1000; ++i) {
    Root<Node> a(mutator, mutator.New<Node>());
    Root<Node> b(mutator, mutator.New<Node>());
    a->next = b.get();
    b->next = a.get();
    b->other = b.get();
  }
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

TEST(HeapTest, AllWaysOfTracingKeepWhatTheyReach) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<Callback> callback(mutator, mutator.New<Callback>());
  Root<Untold> untold(mutator, mutator.New<Untold>());
  Root<Big> big(mutator, mutator.New<Big>());
  callback->hidden = mutator.New<Node>(uint64_t{1});
  untold->pointer = mutator.New<Node>(uint64_t{2});
  big->last = mutator.New<Node>(uint64_t{3});
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 6U);
  EXPECT_EQ(callback->hidden->value, 1U);
  EXPECT_EQ(untold->pointer->value, 2U);
  EXPECT_EQ(big->last->value, 3U);
}

TEST(HeapTest, InteriorPointersKeepTheWholeObject) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  Root<uint64_t> inside(mutator, &mutator.New<Node>(uint64_t{9})->value);
  Root<unsigned char> far_inside(mutator,
                                 &mutator.New<Large>()->bytes[1000000]);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 2U);
  EXPECT_EQ(*inside, 9U);
}

TEST(HeapTest, PointersIntoAnotherHeapKeepNothing) {
  Heap a(ExactOptions());
  Heap b(ExactOptions());
  Mutator in_a(a);
  Mutator in_b(b);
  Root<Node> node(in_a, in_a.New<Node>());
  node->next = in_b.New<Node>();
  a.Collect();
  b.Collect();
  EXPECT_EQ(a.ReadMemStats().heap_objects, 1U);
  EXPECT_EQ(b.ReadMemStats().heap_objects, 0U);
}

TEST(HeapTest, OfFindsTheHeapOfAnAddress) {
  auto a = std::make_unique<Heap>(QuietOptions());
  Heap b(QuietOptions());
  Node* in_b = nullptr;
  {
    Mutator mutator_a(*a);
    Mutator mutator_b(b);
    in_b = mutator_b.New<Node>();
    Node* in_a = mutator_a.New<Node>();
    EXPECT_EQ(Heap::Of(in_a), a.get());
    EXPECT_EQ(Heap::Of(&in_a->value), a.get());
    EXPECT_EQ(Heap::Of(in_b), &b);
  }
  EXPECT_EQ(Heap::Of(&b), nullptr);
  EXPECT_EQ(Heap::Of(nullptr), nullptr);
  a.reset();
  EXPECT_EQ(Heap::Of(in_b), &b);
}

TEST(HeapTest, RootRangesKeepWhatTheyPointTo) {
  static Node* table[1000];
  Heap heap(ExactOptions());
  heap.AddRootRange(table, sizeof table);
  Mutator mutator(heap);
  table[0] = mutator.New<Node>(uint64_t{1});
  table[999] = mutator.New<Node>(uint64_t{2});
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 2U);
  EXPECT_EQ(table[999]->value, 2U);
  heap.RemoveRootRange(table);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

TEST(HeapTest, LargeRootRangesAreScannedToTheEnd) {
  std::vector<Node*> table(200000);
  Heap heap(ExactOptions());
  heap.AddRootRange(table.data(), table.size() * sizeof(Node*));
  Mutator mutator(heap);
  for (size_t i = 0; i < table.size(); i += 997)
    table[i] = mutator.New<Node>(i);
  table.back() = mutator.New<Node>();
  heap.Collect();
  for (size_t i = 0; i < table.size(); i += 997) {
    ASSERT_TRUE(table[i]->intact());
    ASSERT_EQ(table[i]->value, i);
  }
  EXPECT_TRUE(table.back()->intact());
  heap.RemoveRootRange(table.data());
}

TEST(HeapTest, LargeRootRangesNeedNotBeginAtAWord) {
  std::vector<Node*> table(200000);
  Heap heap(ExactOptions());
  const char* const begin = reinterpret_cast<const char*>(table.data()) + 3;
  heap.AddRootRange(begin, table.size() * sizeof(Node*) - 3);
  Mutator mutator(heap);
  for (size_t i = 1; i < table.size(); ++i) {
    table[i] = mutator.New<Node>(i);
  }
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, table.size() - 1);
  heap.RemoveRootRange(begin);
}

TEST(HeapTest, ConstructorExceptionsLeaveOnlyGarbage) {
  Heap heap(ExactOptions());
  Mutator mutator(heap);
  for (int i = 0; i < 100; ++i) EXPECT_THROW(mutator.New<Thrower>(), int);
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
  heap.CheckInvariants();
}

TEST(HeapTest, CreateReportsAnOsThatRefuses) {
  FakeOsMemory os;
  os.FailFrom(1);
  HeapOptions options = QuietOptions();
  options.os = &os;
  const auto heap = Heap::Create(options);
  ASSERT_FALSE(heap.ok());
  EXPECT_EQ(heap.status().code(), absl::StatusCode::kResourceExhausted);
}

// Creation needs many things of the OS; each of them may be refused.
TEST(HeapTest, CreateFailsCleanlyAtEachRefusal) {
  const uint64_t refusals = ForEachOsFailure([](OsMemory& os) {
    HeapOptions options = QuietOptions();
    options.os = &os;
    const auto heap = Heap::Create(options);
    if (!heap.ok()) return;
    EXPECT_EQ((*heap)->ReadMemStats().heap_objects, 0U);
    // What was refused may be missed only now.
    Mutator mutator(**heap);
    const Node* node = mutator.New<Node>();
    EXPECT_TRUE(node == nullptr || node->intact());
  });
  EXPECT_GT(refusals, 2U);
}

TEST(HeapTest, AllMemoryGoesBackToTheOs) {
  FakeOsMemory os;  // fatal when something is left behind
  HeapOptions options = QuietOptions();
  options.os = &os;
  options.gc_percent = 100;
  auto heap = Heap::Create(options);
  ASSERT_TRUE(heap.ok()) << heap.status();
  {
    Mutator mutator(**heap);
    for (int i = 0; i < 20000; ++i) mutator.New<Node>();
    for (int i = 0; i < 20; ++i) mutator.New<Large>();
    (*heap)->Collect();
  }
  (*heap)->CheckInvariants();
}

TEST(HeapTest, ManyHeapsComeAndGo) {
  for (int i = 0; i < 20; ++i) {
    std::vector<std::unique_ptr<Heap>> heaps;
    for (int k = 0; k < 8; ++k) {
      HeapOptions options = QuietOptions();
      options.reservation_bytes = size_t{64} << 20;
      heaps.push_back(std::make_unique<Heap>(options));
      Mutator mutator(*heaps.back());
      EXPECT_TRUE(ListIsIntact(MakeList(mutator, 100), 100));
      EXPECT_EQ(Heap::Of(mutator.New<Node>()), heaps.back().get());
    }
  }
}

}  // namespace
}  // namespace tricolor::runtime
