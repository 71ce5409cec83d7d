// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Programs whose operating system refuses memory: at each single call, and from
// each call on. They get null pointers or std::bad_alloc, and no more.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/gc/gc_pacer.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

// 512 bytes, nearly all pointers: a type header.
struct Wide {
  TRICOLOR_TRACE(Wide, nodes);
  std::array<Ptr<Node>, 80> nodes;
};

FakeOsMemoryOptions OsOptions() { return {.protect = false}; }

HeapOptions OptionsFor(FakeOsMemory& os) {
  HeapOptions options = ExactOptions();
  options.os = &os;
  options.reservation_bytes = size_t{256} << 20;
  options.background_sweep = false;
  options.gc_threads = 2;
  // Near enough for memory to go back to the OS.
  options.memory_limit = 16 << 20;
  return options;
}

// What a round of the program could get. Everything that it keeps is in `list`.
void Round(Heap& heap, Mutator& mutator, std::atomic<int>& dead,
           Root<Node>& list) {
  for (uint64_t i = 0; i < 500; ++i) {
    Node* node = mutator.New<Node>(i);
    if (node == nullptr) break;
    node->next = list;
    list = node;
    mutator.New<Leaf>();
    if (i % 50 != 0) continue;
    Wide* wide = mutator.New<Wide>();
    if (wide == nullptr) continue;
    wide->nodes[79] = node;
    const Weak<Wide> weak(wide);
    AddCleanup(wide, [&dead] { ++dead; });
    mutator.NewArray<uint64_t>(size_t{1} << (i / 50));
  }
  mutator.New<Large>();
  mutator.New<Large>();
  std::array<Root<Node>, 600> roots;  // more than a block of them
  for (Root<Node>& root : roots) root = list;
  heap.Collect();
  heap.RunCleanups();
}

void RunProgram(FakeOsMemory& os) {
  std::atomic<int> dead{0};  // outlives the heap, whose cleanups count here
  absl::StatusOr<std::unique_ptr<Heap>> made = Heap::Create(OptionsFor(os));
  if (!made.ok()) return;
  Heap& heap = **made;
  {
    Mutator mutator(heap);
    Root<Node> list;
    for (int round = 0; round < 4; ++round) {
      if (round == 2) list = nullptr;
      try {
        Round(heap, mutator, dead, list);
      } catch (const std::bad_alloc&) {
        // A Root.
      }
      heap.CheckInvariants();
      for (const Node* n = list; n != nullptr; n = n->next) {
        ASSERT_TRUE(n->intact());
      }
    }
    heap.FreeOsMemory();
    heap.CheckInvariants();
  }
  EXPECT_LE(dead, 40);
}

TEST(HeapFailureTest, EachCallOfTheOsMayFail) {
  uint64_t k = 0;
  for (bool failed = true; failed;) {
    FakeOsMemory os(OsOptions());
    os.FailAfter(++k);
    RunProgram(os);
    os.CheckInvariants();
    failed = os.failures() != 0;
  }
  EXPECT_GT(k, 50U);
}

TEST(HeapFailureTest, AllCallsOfTheOsMayFailFromAnyOn) {
  uint64_t k = 0;
  for (bool failed = true; failed;) {
    FakeOsMemory os(OsOptions());
    os.FailFrom(++k);
    RunProgram(os);
    os.CheckInvariants();
    failed = os.failures() != 0;
  }
  EXPECT_GT(k, 50U);
}

TEST(HeapFailureTest, CallsMayFailAtRandom) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    FakeOsMemory os(OsOptions());
    os.FailRandomly(seed, 0.01 * static_cast<double>(1 + seed % 20));
    RunProgram(os);
    os.CheckInvariants();
  }
}

// Only the heap's own structures get nothing; the heap itself may grow.
TEST(HeapFailureTest, WithoutMemoryForMarkBitsNothingIsCollected) {
  FakeOsMemory os(OsOptions());
  Heap heap(OptionsFor(os));
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 1000));
  for (int i = 0; i < 1000; ++i) mutator.New<Leaf>();
  os.FailOnly(OsCall::kReserve);
  os.FailFrom(1);
  heap.Collect();
  EXPECT_GT(os.failures(), 0U);
  MemStats stats = heap.ReadMemStats();
  EXPECT_EQ(stats.num_gc, 0U);
  EXPECT_EQ(stats.num_gc_refused, 1U);
  EXPECT_EQ(stats.heap_objects, 2000U);
  EXPECT_TRUE(ListIsIntact(list, 1000));
  EXPECT_NE(mutator.New<Node>(), nullptr);
  heap.CheckInvariants();
  os.StopFailing();
  heap.Collect();
  stats = heap.ReadMemStats();
  EXPECT_EQ(stats.num_gc, 1U);
  EXPECT_EQ(stats.heap_objects, 1000U);
  EXPECT_TRUE(ListIsIntact(list, 1000));
}

TEST(HeapFailureTest, AProgramThatWantsCyclesInVainGetsNullAndGoesOn) {
  FakeOsMemory os(OsOptions());
  HeapOptions options = OptionsFor(os);
  options.gc_percent = 100;
  options.min_heap_bytes = 256 << 10;
  Heap heap(options);
  Mutator mutator(heap);
  Root<Node> list(mutator, MakeList(mutator, 1000));
  os.FailOnly(OsCall::kReserve);
  os.FailFrom(1);
  uint64_t made = 0;
  while (made < 20000000 && mutator.New<Leaf>() != nullptr) ++made;
  EXPECT_LT(made, 20000000U);
  // Not once an allocation, nor once a span: the heap grows in between.
  const MemStats stats = heap.ReadMemStats();
  EXPECT_EQ(stats.num_gc, 0U);
  EXPECT_GT(stats.num_gc_refused, 0U);
  EXPECT_LE(stats.num_gc_refused,
            2 + stats.heap_alloc / gc::GcPacer::kGrowthToRetry);
  heap.CheckInvariants();
  os.StopFailing();
  for (int i = 0; i < 100000; ++i) ASSERT_NE(mutator.New<Leaf>(), nullptr);
  EXPECT_GT(heap.ReadMemStats().num_gc, 0U);
  EXPECT_TRUE(ListIsIntact(list, 1000));
  heap.CheckInvariants();
}

TEST(HeapFailureTest, ARootWithoutMemoryIsNotMade) {
  FakeOsMemory os(OsOptions());
  Heap other_heap(ExactOptions());
  Mutator other_mutator(other_heap);
  Root<Node> elsewhere(other_mutator, other_mutator.New<Node>(uint64_t{9}));
  Heap heap(OptionsFor(os));
  Mutator mutator(heap);
  Node* node = mutator.New<Node>(uint64_t{7});
  ASSERT_NE(node, nullptr);
  os.FailFrom(1);
  size_t made = 0;
  uint64_t thrown = 0;
  // The free part of the last chunk of metadata holds a few hundred blocks.
  std::vector<std::array<Root<Node>, 600>> more(200);
  for (auto& block : more) {
    for (Root<Node>& root : block) {
      try {
        root = node;
        ++made;
      } catch (const std::bad_alloc&) {
        ++thrown;
        EXPECT_EQ(root.get(), nullptr);
      }
    }
  }
  EXPECT_GT(thrown, 0U);
  EXPECT_EQ(made % RootBlock::kSlots, 0U);
  EXPECT_THROW(elsewhere = node, std::bad_alloc);
  ASSERT_NE(elsewhere.get(), nullptr);
  EXPECT_EQ(elsewhere->value, 9U);
  heap.CheckInvariants();
  os.StopFailing();
  const Root<Node> root(node);
  EXPECT_EQ(root->value, 7U);
}

}  // namespace
}  // namespace tricolor::runtime
