// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/huge_chunks.h"

#include <cstdint>
#include <set>

#include "gtest/gtest.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"
#include "tricolor/pagealloc/palloc_bits.h"

namespace tricolor::mheap {
namespace {

using pagealloc::kChunkBytes;

constexpr uint64_t kChunks = 10000;

TEST(HugeChunksTest, WantsThemFromTheChunkThatCrossesTheLineOn) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  EXPECT_TRUE(HugeChunks(memory, ByteCount(0), true).Wants(0));
  HugeChunks chunks(memory, kChunkBytes * 8, true);
  EXPECT_FALSE(chunks.Wants(7));
  EXPECT_TRUE(chunks.Wants(8));
  const ByteCount inside = kChunkBytes * 8 + ByteCount(1);
  EXPECT_TRUE(HugeChunks(memory, inside, true).Wants(8));
  EXPECT_FALSE(HugeChunks(memory, ByteCount(UINT64_MAX), true).Wants(kChunks));
}

TEST(HugeChunksTest, WithoutHugePagesThereIsNothingToSplit) {
  FakeOsMemory os({.huge_page_size = ByteCount(0)});
  PersistentAlloc memory(os);
  HugeChunks chunks(memory, ByteCount(0), true);
  chunks.Init(kChunks);
  EXPECT_FALSE(chunks.Wants(0));
  EXPECT_EQ(chunks.BeforeRelease(5, false), HugePageAdvice::kNone);
}

TEST(HugeChunksTest, IsSplitByTheFirstReleaseAndJoinedWhenEmpty) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  HugeChunks chunks(memory, kChunkBytes * 2, true);
  chunks.Init(kChunks);
  EXPECT_EQ(chunks.BeforeRelease(1, false), HugePageAdvice::kNone);
  EXPECT_EQ(chunks.BeforeRelease(2, false), HugePageAdvice::kSmall);
  EXPECT_TRUE(chunks.IsSplit(2));
  EXPECT_EQ(chunks.BeforeRelease(2, false), HugePageAdvice::kNone);
  EXPECT_EQ(chunks.BeforeRelease(2, true), HugePageAdvice::kHuge);
  EXPECT_TRUE(chunks.IsSplit(2));  // until the release has succeeded
  chunks.Join(2);
  EXPECT_FALSE(chunks.IsSplit(2));
  // All at once: it never was in two parts.
  EXPECT_EQ(chunks.BeforeRelease(3, true), HugePageAdvice::kNone);
  EXPECT_FALSE(chunks.IsSplit(3));
  chunks.CheckInvariants();
}

TEST(HugeChunksTest, MayBeToldNeverToSplit) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  HugeChunks chunks(memory, ByteCount(0), false);
  chunks.Init(kChunks);
  EXPECT_TRUE(chunks.Wants(0));
  EXPECT_EQ(chunks.BeforeRelease(0, false), HugePageAdvice::kNone);
  EXPECT_EQ(chunks.NextSplit(0), HugeChunks::kNone);
}

TEST(HugeChunksTest, MemoryThatIsRefusedLeavesAChunkWhole) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  HugeChunks chunks(memory, ByteCount(0), true);
  chunks.Init(kChunks);
  os.FailAfter(1);
  EXPECT_EQ(chunks.BeforeRelease(9999, false), HugePageAdvice::kNone);
  EXPECT_FALSE(chunks.IsSplit(9999));
  chunks.CheckInvariants();
  EXPECT_EQ(chunks.BeforeRelease(9999, false), HugePageAdvice::kSmall);
}

TEST(HugeChunksTest, RunsAreBoundedAndGrowAtTheirEnds) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  HugeChunks chunks(memory, ByteCount(0), true);
  chunks.Init(kChunks);
  for (uint64_t c = 0; c < 2 * HugeChunks::kMostSplitRuns; c += 2) {
    ASSERT_EQ(chunks.BeforeRelease(c, false), HugePageAdvice::kSmall);
  }
  EXPECT_EQ(chunks.split_runs(), HugeChunks::kMostSplitRuns);
  EXPECT_EQ(chunks.BeforeRelease(kChunks - 1, false), HugePageAdvice::kNone);
  // Between two runs: one run less. Apart again they would be one too many.
  EXPECT_TRUE(chunks.MayJoin(0));
  EXPECT_FALSE(chunks.MayJoin(1));
  EXPECT_EQ(chunks.BeforeRelease(1, false), HugePageAdvice::kSmall);
  EXPECT_EQ(chunks.split_runs(), HugeChunks::kMostSplitRuns - 1);
  EXPECT_TRUE(chunks.MayJoin(1));
  EXPECT_EQ(chunks.BeforeRelease(kChunks - 1, false), HugePageAdvice::kSmall);
  EXPECT_FALSE(chunks.MayJoin(1));
  chunks.Join(0);
  EXPECT_TRUE(chunks.MayJoin(1));
  chunks.CheckInvariants();
}

TEST(HugeChunksTest, AgreesWithASetOfChunks) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  TestRandom random(seed);
  FakeOsMemory os;
  PersistentAlloc memory(os);
  HugeChunks chunks(memory, kChunkBytes * 10, true);
  chunks.Init(kChunks);
  std::set<uint64_t> split;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t c = random.Below(300);
    const bool empty = random.Below(2) == 0;
    const HugePageAdvice advice = chunks.BeforeRelease(c, empty);
    if (c < 10) {
      ASSERT_EQ(advice, HugePageAdvice::kNone);
    } else if (split.contains(c)) {
      ASSERT_EQ(advice, empty ? HugePageAdvice::kHuge : HugePageAdvice::kNone);
      if (empty) {
        chunks.Join(c);
        split.erase(c);
      }
    } else {
      ASSERT_EQ(advice, empty ? HugePageAdvice::kNone : HugePageAdvice::kSmall);
      if (!empty) split.insert(c);
    }
    const uint64_t from = random.Below(300);
    const auto next = split.lower_bound(from);
    ASSERT_EQ(chunks.NextSplit(from),
              next == split.end() ? HugeChunks::kNone : *next);
    chunks.CheckInvariants();
  }
}

TEST(HugeChunksDeathTest, JoiningWhatIsNotSplitIsFatal) {
  FakeOsMemory os;
  PersistentAlloc memory(os);
  HugeChunks chunks(memory, ByteCount(0), true);
  chunks.Init(kChunks);
  EXPECT_DEATH(chunks.Join(3), "chunk 3 is joined, but was not split");
}

}  // namespace
}  // namespace tricolor::mheap
