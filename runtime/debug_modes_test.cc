// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The switches of TRICOLOR_DEBUG that make faults show: clobberfree and zeal.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/asan.h"
#include "tricolor/mheap/type_info.h"
#include "tricolor/runtime/runtime_testing.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::runtime {
namespace {

HeapOptions WithDebug(const char* debug) {
  HeapOptions options = ExactOptions();
  options.background_scavenge = false;
  options.debug = debug;
  return options;
}

// The words of a Leaf that has died.
std::vector<uint64_t> WordsOf(const Leaf* leaf) {
  mheap::AsanUnpoison(Addr(leaf), ByteCount(sizeof(Leaf)));
  const auto* words = reinterpret_cast<const uint64_t*>(leaf);
  std::vector<uint64_t> found;
  for (size_t i = 0; i < 8; ++i) found.push_back(LoadWordRelaxed(words + i));
  return found;
}

TEST(ClobberFreeTest, DeadObjectsAreOverwrittenAndLiveOnesAreNot) {
  Heap heap(WithDebug("clobberfree=1"));
  Mutator mutator(heap);
  const Root<Leaf> live(mutator, mutator.New<Leaf>());
  const Leaf* dead = mutator.New<Leaf>();
  std::memset(live->words, 0x11, sizeof live->words);
  heap.Collect();
  EXPECT_EQ(WordsOf(live), std::vector<uint64_t>(8, 0x1111111111111111));
  EXPECT_EQ(WordsOf(dead),
            std::vector<uint64_t>(8, sweep::Sweeper::kClobberPattern));
}

TEST(ClobberFreeTest, DeadObjectsAreLeftAloneWithoutIt) {
  Heap heap(WithDebug("clobberfree=0"));
  Mutator mutator(heap);
  const Root<Leaf> live(mutator, mutator.New<Leaf>());
  Leaf* dead = mutator.New<Leaf>();
  std::memset(dead->words, 0x11, sizeof dead->words);
  heap.Collect();
  EXPECT_EQ(WordsOf(dead), std::vector<uint64_t>(8, 0x1111111111111111));
}

// Checks that an object's memory is zeroed, and fills it. Without a
// constructor, which might zero it itself.
char* NewZeroed(Mutator& mutator, const TypeInfo& type) {
  auto* bytes = static_cast<char*>(mutator.Allocate(type));
  EXPECT_TRUE(std::all_of(bytes, bytes + type.size, [](char b) {
    return b == 0;
  })) << type.name;
  return bytes;
}

// Slots of spans that live on, of spans that died, and large objects.
TEST(ClobberFreeTest, NewObjectsAreZeroed) {
  Heap heap(WithDebug("clobberfree=1,gccheckmark=1"));
  Mutator mutator(heap);
  for (int round = 0; round < 4; ++round) {
    std::vector<Root<char>> kept;
    for (int i = 0; i < 5000; ++i) {
      char* leaf = NewZeroed(mutator, TypeInfoOf<Leaf>());
      std::memset(leaf, 7, sizeof(Leaf));
      char* node = NewZeroed(mutator, TypeInfoOf<Node>());
      if (i % 100 != 0) continue;
      kept.emplace_back(mutator, leaf);
      kept.emplace_back(mutator, node);
    }
    std::memset(NewZeroed(mutator, TypeInfoOf<Large>()), 7, sizeof(Large));
    heap.Collect();
  }
  heap.CheckInvariants();
}

// A program that allocates nothing else: by runs, and with types known only at
// run time, each of which counts.
uint64_t CollectionsOf(const char* debug) {
  Heap heap(WithDebug(debug));
  Mutator mutator(heap);
  for (int i = 0; i < 60; ++i) mutator.Allocate(TypeInfoOf<Node>());
  return heap.ReadMemStats().num_gc;
}

TEST(ZealTest, EachNthSlowAllocationCollects) {
  EXPECT_EQ(CollectionsOf(""), 0U);
  EXPECT_EQ(CollectionsOf("zeal=0"), 0U);
  EXPECT_GE(CollectionsOf("zeal=1"), 60U);
  EXPECT_GE(CollectionsOf("zeal=20"), 3U);
  EXPECT_LE(CollectionsOf("zeal=20"), 6U);
}

TEST(ZealTest, NewCollectsWhenItTakesARun) {
  Heap heap(WithDebug("zeal=1,gccheckmark=1,clobberfree=1"));
  Mutator mutator(heap);
  constexpr size_t kLength = 2000;
  const Root<Node> list(mutator, MakeList(mutator, kLength));
  EXPECT_TRUE(ListIsIntact(list, kLength));
  EXPECT_GE(heap.ReadMemStats().num_gc, 4U);
}

}  // namespace
}  // namespace tricolor::runtime
