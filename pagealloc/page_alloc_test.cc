// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/page_alloc.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc_fixture.h"
#include "tricolor/pagealloc/window_os.h"

namespace tricolor::pagealloc {
namespace {

using Ranges = std::vector<ChunkRange>;

constexpr PageRun kNothing;
constexpr unsigned kLeaf = PageAlloc::kLeafLevel;

// Growing.

TEST(PageAllocGrowTest, NothingCanBeAllocatedBefore) {
  TestPages t;
  EXPECT_EQ(t.Alloc(1), kNothing);
  EXPECT_EQ(t.pages().AllocAligned(PageCount(1), PageCount(8)), kNothing);
  EXPECT_TRUE(t.pages().search_address().is_null());
  EXPECT_EQ(t.pages().free_pages(), PageCount(0));
  EXPECT_EQ(t.pages().in_use().size(), 0u);
}

TEST(PageAllocGrowTest, NewMemoryIsFreeAndScavenged) {
  TestPages t;
  ASSERT_TRUE(t.Grow(3, 2));
  EXPECT_EQ(t.Used(3), Ranges{});
  EXPECT_EQ(t.Scavenged(3), Ranges{kWholeChunk});
  EXPECT_EQ(t.Scavenged(4), Ranges{kWholeChunk});
  EXPECT_EQ(t.pages().free_pages(), PageCount(1024));
  EXPECT_EQ(t.pages().scavenged_pages(), PageCount(1024));
  EXPECT_EQ(t.pages().total_pages(), PageCount(1024));
  EXPECT_EQ(t.pages().search_address(), t.At(3));
}

TEST(PageAllocGrowTest, SummariesOfEveryLevelFollow) {
  TestPages t;
  ASSERT_TRUE(t.Grow(6, 4));  // crosses a bound of the level above the leaves
  const PallocSum whole = PallocSum::AllFree(kChunkPages);
  const PageAlloc& p = t.pages();
  EXPECT_EQ(p.SummaryForTest(kLeaf, t.At(5)), PallocSum());
  EXPECT_EQ(p.SummaryForTest(kLeaf, t.At(6)), whole);
  EXPECT_EQ(p.SummaryForTest(kLeaf, t.At(9)), whole);
  EXPECT_EQ(p.SummaryForTest(kLeaf, t.At(10)), PallocSum());
  EXPECT_EQ(p.SummaryForTest(kLeaf - 1, t.At(0)),
            PallocSum::Pack(0, 1024, 1024));
  EXPECT_EQ(p.SummaryForTest(kLeaf - 1, t.At(8)),
            PallocSum::Pack(1024, 1024, 0));
  for (unsigned level = 0; level < kLeaf - 1; ++level) {
    EXPECT_EQ(p.SummaryForTest(level, t.At(0)), PallocSum::Pack(0, 2048, 0));
  }
}

TEST(PageAllocGrowTest, AWholeRootEntryIsSummarized) {
  TestPages t;
  ASSERT_TRUE(t.Grow(kRootChunks, kRootChunks));
  EXPECT_EQ(t.pages().SummaryForTest(0, t.At(kRootChunks)),
            PallocSum::AllFree(PallocSum::kMaxPages));
  EXPECT_EQ(t.Alloc(PallocSum::kMaxPages),
            t.Run(kRootChunks, 0, PallocSum::kMaxPages));
  EXPECT_EQ(t.pages().SummaryForTest(0, t.At(kRootChunks)), PallocSum());
  EXPECT_EQ(t.Alloc(1), kNothing);
}

TEST(PageAllocGrowTest, AdjacentRangesJoinInAnyOrder) {
  TestPages t;
  ASSERT_TRUE(t.Grow(10, 2));
  ASSERT_TRUE(t.Grow(14, 1));
  ASSERT_TRUE(t.Grow(7, 3));
  EXPECT_EQ(t.pages().in_use().size(), 2u);
  ASSERT_TRUE(t.Grow(12, 2));
  ASSERT_EQ(t.pages().in_use().size(), 1u);
  EXPECT_EQ(t.pages().in_use()[0], (AddrRange{t.At(7), t.At(15)}));
  t.pages().CheckInvariants();
  EXPECT_EQ(t.Alloc(8 * 512), t.Run(7, 0, 8 * 512));
}

TEST(PageAllocGrowTest, RangesFarApartStayApart) {
  TestPages t;
  std::vector<uint64_t> chunks = {0, kRootChunks - 1, kRootChunks + 1,
                                  2 * kRootChunks, 4 * kRootChunks - 1};
  for (const uint64_t c : chunks) ASSERT_TRUE(t.Grow(c, 1));
  ASSERT_EQ(t.pages().in_use().size(), chunks.size());
  t.pages().CheckInvariants();
  // No run goes across a gap.
  EXPECT_EQ(t.Alloc(513), kNothing);
  for (const uint64_t c : chunks) EXPECT_EQ(t.Alloc(512), t.Run(c, 0, 512));
  EXPECT_EQ(t.Alloc(1), kNothing);
}

TEST(PageAllocGrowTest, BelowTheSearchAddress) {
  TestPages t;
  ASSERT_TRUE(t.Grow(100, 1));
  EXPECT_EQ(t.Alloc(5), t.Run(100, 0, 5));
  ASSERT_TRUE(t.Grow(50, 1));
  EXPECT_EQ(t.Alloc(5), t.Run(50, 0, 5));
}

TEST(PageAllocGrowTest, TheLastChunkOfTheWindow) {
  TestPages t;
  const uint64_t last = 4 * kRootChunks - 1;
  ASSERT_TRUE(t.Grow(last, 1));
  EXPECT_EQ(t.Alloc(512), t.Run(last, 0, 512));
  EXPECT_EQ(t.Alloc(1), kNothing);
  t.Free(t.At(last, 511), 1);
  EXPECT_EQ(t.Alloc(1), t.Run(last, 511));
}

TEST(PageAllocGrowTest, AWindowNeedNotFillItsRootEntry) {
  WindowOs os(3);
  PageAlloc pages(os, os.window());
  ASSERT_TRUE(pages.Init());
  ASSERT_TRUE(pages.Grow(os.window().base, os.window().size()));
  EXPECT_EQ(pages.Alloc(PageCount(3 * 512)).base, os.window().base);
  EXPECT_FALSE(pages.Alloc(PageCount(1)));
  pages.CheckInvariants();
}

TEST(PageAllocGrowTest, ATebibyteNeedsFewTables) {
  const uint64_t chunks = (uint64_t{1} << 40) / kChunkBytes.value();
  WindowOs os(chunks);
  PageAlloc pages(os, os.window());
  ASSERT_TRUE(pages.Init());
  ASSERT_TRUE(pages.Grow(os.window().limit - kChunkBytes, kChunkBytes));
  EXPECT_LT(pages.table_bytes(), ByteCount(1 << 20));
  EXPECT_EQ(pages.Alloc(PageCount(2)).base, os.window().limit - kChunkBytes);
  pages.CheckInvariants();
}

// Allocating.

TEST(PageAllocAllocTest, FillsAFreshChunkFromBelow) {
  TestPages t;
  ASSERT_TRUE(t.Grow(0, 1));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 0, 1));
  EXPECT_EQ(t.Alloc(2), t.Run(0, 1, 2));
  EXPECT_EQ(t.Alloc(500), t.Run(0, 3, 500));
  EXPECT_EQ(t.Alloc(10), kNothing);
  EXPECT_EQ(t.Alloc(9), t.Run(0, 503, 9));
  EXPECT_EQ(t.Alloc(1), kNothing);
  EXPECT_EQ(t.Scavenged(0), Ranges{});
}

TEST(PageAllocAllocTest, CountsExactlyTheScavengedPagesItTakes) {
  TestPages t({{0, {{0, 10}, {30, 5}}, {{12, 4}, {20, 2}, {40, 100}}}});
  EXPECT_EQ(t.Alloc(11), t.Run(0, 10, 5));  // 12..15 and 20
  EXPECT_EQ(t.Alloc(9), t.Run(0, 21, 1));
  EXPECT_EQ(t.Alloc(100), t.Run(0, 35, 95));
  EXPECT_EQ(t.Scavenged(0), (Ranges{{135, 5}}));
}

TEST(PageAllocAllocTest, TakesTheLowestRunThatFits) {
  TestPages t({{0, {{2, 2}, {7, 1}, {16, 1}, {81, 400}}}});
  EXPECT_EQ(t.Alloc(4), t.Run(0, 8));
  EXPECT_EQ(t.Alloc(3), t.Run(0, 4));
  EXPECT_EQ(t.Alloc(65), kNothing);
  EXPECT_EQ(t.Alloc(64), t.Run(0, 17));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 0));
  EXPECT_EQ(t.Alloc(4), t.Run(0, 12));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 1));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 481));
}

TEST(PageAllocAllocTest, OneFreePageOnly) {
  for (const uint32_t page : {0u, 63u, 64u, 300u, 511u}) {
    Ranges used;
    if (page > 0) used.push_back({0, page});
    if (page < 511) used.push_back({page + 1, 511 - page});
    TestPages t({{2, used}});
    EXPECT_EQ(t.Alloc(2), kNothing);
    EXPECT_EQ(t.Alloc(1), t.Run(2, page));
    EXPECT_EQ(t.Alloc(1), kNothing);
  }
}

TEST(PageAllocAllocTest, RunsCrossChunks) {
  TestPages t({{0, {{0, 500}}}, {1, {}, {{0, 4}}}, {2, {{100, 412}}}});
  EXPECT_EQ(t.Alloc(625), kNothing);
  EXPECT_EQ(t.Alloc(624), t.Run(0, 500, 4));
  EXPECT_EQ(t.Used(0), Ranges{kWholeChunk});
  EXPECT_EQ(t.Used(1), Ranges{kWholeChunk});
  EXPECT_EQ(t.Used(2), Ranges{kWholeChunk});
}

TEST(PageAllocAllocTest, PrefersALowerRunAcrossChunksToOneWithin) {
  TestPages t({{0, {{0, 508}}}, {1, {{4, 100}}}, {2, {}}});
  EXPECT_EQ(t.Alloc(8), t.Run(0, 508));
  EXPECT_EQ(t.Alloc(8), t.Run(1, 104));
}

// A run that crosses the bound between two entries of each level of the tree.
TEST(PageAllocAllocTest, RunsCrossTheBoundsOfEveryLevel) {
  for (uint64_t bound = 8; bound <= 8 * 8 * 8 * 8; bound *= 8) {
    TestPages t({{bound - 1, {{0, 500}}}, {bound, {{7, 505}}}});
    EXPECT_EQ(t.Alloc(20), kNothing) << bound;
    EXPECT_EQ(t.Alloc(19), t.Run(bound - 1, 500)) << bound;
    EXPECT_EQ(t.Alloc(1), kNothing) << bound;
  }
}

// The free ends beside an unmapped gap do not touch, whether or not the gap
// ends where an entry of a level does.
TEST(PageAllocAllocTest, RunsDoNotCrossUnmappedGaps) {
  for (const uint64_t bound : {8u, 64u, 512u, 4096u}) {
    for (const uint64_t gap : {1u, 2u, 8u}) {
      TestPages t({{bound - 1, {{0, 256}}},
                   {bound + gap, {{256, 256}}},
                   {bound + gap + 1, {{0, 8}}}});
      EXPECT_EQ(t.Alloc(505), kNothing);
      EXPECT_EQ(t.Alloc(257), t.Run(bound + gap + 1, 8));
      EXPECT_EQ(t.Alloc(256), t.Run(bound - 1, 256));
      EXPECT_EQ(t.Alloc(256), t.Run(bound + gap, 0));
    }
  }
}

// The first free page that a search meets is in an entry whose beginning was
// never added: the search address must not stand there.
TEST(PageAllocAllocTest, SearchAddressIsAlwaysInAddedMemory) {
  const uint64_t far = 2 * kRootChunks + 600;
  TestPages t({{0, {kWholeChunk}}, {far, {{0, 100}}}, {far + 1, {}}});
  EXPECT_EQ(t.Alloc(600), t.Run(far, 100));
  t.pages().CheckInvariants();
  EXPECT_EQ(t.pages().search_address(), t.At(far));
  EXPECT_EQ(t.Alloc(1000), kNothing);
  t.pages().CheckInvariants();
  EXPECT_EQ(t.Alloc(1), t.Run(far + 1, 188));
}

TEST(PageAllocAllocTest, AFailedSearchProvesWhereTheFirstFreePageIs) {
  TestPages t(
      {{0, {kWholeChunk}}, {1, {{0, 300}, {301, 211}}}, {2, {{1, 511}}}});
  EXPECT_EQ(t.Alloc(100), kNothing);
  EXPECT_EQ(t.pages().search_address(), t.At(1));
  EXPECT_EQ(t.Alloc(1), t.Run(1, 300));
  EXPECT_EQ(t.pages().search_address(), t.At(1, 300));
  EXPECT_EQ(t.Alloc(1), t.Run(2, 0));
  EXPECT_EQ(t.Alloc(1), kNothing);
  EXPECT_TRUE(t.pages().search_address().is_null());
}

TEST(PageAllocAllocTest, ALargeRunKeepsTheSearchAddressBelowIt) {
  TestPages t({{0, {{0, 100}, {101, 411}}}, {1, {}}});
  EXPECT_EQ(t.Alloc(512), t.Run(1, 0));
  EXPECT_EQ(t.pages().search_address(), t.At(0, 100));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 100));
}

TEST(PageAllocAllocTest, LargeRunsSpanManyChunks) {
  TestPages t;
  ASSERT_TRUE(t.Grow(kRootChunks - 100, 300));
  EXPECT_EQ(t.Alloc(300 * 512 + 1), kNothing);
  EXPECT_EQ(t.Alloc(1), t.Run(kRootChunks - 100, 0, 1));
  EXPECT_EQ(t.Alloc(250 * 512), t.Run(kRootChunks - 100, 1, 250 * 512));
  t.pages().CheckInvariants();
  EXPECT_EQ(t.Alloc(50 * 512 - 1), t.Run(kRootChunks + 150, 1, 50 * 512 - 1));
  EXPECT_EQ(t.Alloc(1), kNothing);
}

TEST(PageAllocAllocTest, MoreThanARootEntryHolds) {
  TestPages t;
  ASSERT_TRUE(t.Grow(1, 3 * kRootChunks));
  const uint64_t pages = 2 * uint64_t{PallocSum::kMaxPages} + 5;
  EXPECT_EQ(t.Alloc(pages), t.Run(1, 0, pages));
  t.pages().CheckInvariants();
  EXPECT_EQ(t.Alloc(pages), kNothing);
  t.Free(t.At(1), pages);
  EXPECT_EQ(t.Alloc(pages), t.Run(1, 0, 0));
}

TEST(PageAllocAllocTest, HugeCountsAreRefusedWithoutOverflow) {
  TestPages t;
  ASSERT_TRUE(t.Grow(0, 1));
  EXPECT_EQ(t.Alloc(uint64_t{1} << 40), kNothing);
  EXPECT_EQ(t.Alloc(~uint64_t{0}), kNothing);
  EXPECT_EQ(t.pages().AllocAligned(PageCount(~uint64_t{0}), PageCount(2)),
            kNothing);
  EXPECT_EQ(t.Alloc(512), t.Run(0, 0, 512));
}

// Where all is free from a page on, each level follows by itself.

TEST(PageAllocTailTest, SummariesOfAnEmptyHeapFollowEachPage) {
  TestPages t;
  ASSERT_TRUE(t.Grow(0, 2 * kRootChunks));
  const PageAlloc& p = t.pages();
  for (uint32_t i = 1; i <= 2 * kChunkPages; ++i) {
    EXPECT_TRUE(t.Alloc(1));
    const uint32_t left = PallocSum::kMaxPages - i;
    ASSERT_EQ(p.SummaryForTest(0, t.At(0)), PallocSum::Pack(0, left, left));
  }
  EXPECT_EQ(p.SummaryForTest(kLeaf, t.At(1)), PallocSum());
  EXPECT_EQ(p.SummaryForTest(kLeaf - 1, t.At(0)),
            PallocSum::Pack(0, 6 * kChunkPages, 6 * kChunkPages));
  for (uint64_t i = 2 * kChunkPages; i-- > 0;) t.Free(t.At(0, i), 1);
  EXPECT_EQ(p.SummaryForTest(kLeaf, t.At(1)), PallocSum::AllFree(kChunkPages));
  EXPECT_EQ(p.SummaryForTest(0, t.At(0)),
            PallocSum::AllFree(PallocSum::kMaxPages));
}

TEST(PageAllocTailTest, HolesBelowTheTailCount) {
  TestPages t({{0, {{0, 300}}}, {1, {}}, {2, {{511, 1}}}});
  t.Free(t.At(0, 7), 2);
  EXPECT_EQ(t.Alloc(1), t.Run(0, 7));  // the lowest, not at the tail
  t.pages().CheckInvariants();
  EXPECT_EQ(t.Alloc(2), t.Run(0, 300));  // at the tail, not the lowest
  t.pages().CheckInvariants();
  EXPECT_EQ(t.Alloc(1), t.Run(0, 8));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 302));  // both
  t.pages().CheckInvariants();
  t.Free(t.At(0, 200), 103);  // all that touch it
  t.pages().CheckInvariants();
  t.Free(t.At(0, 100), 99);  // all but one
  t.pages().CheckInvariants();
  EXPECT_EQ(t.pages().SummaryForTest(kLeaf, t.At(0)),
            PallocSum::Pack(0, 312, 312));
}

TEST(PageAllocTailTest, ATailMayEndAtAnyLevel) {
  for (uint64_t bound = 1; bound <= kRootChunks; bound *= 8) {
    // All is free from the middle of a chunk to `bound`, all used beyond.
    TestPages t;
    ASSERT_TRUE(t.Grow(bound - 1, 2));
    t.pages().SetChunkForTest(t.At(bound - 1), {{{0, 100}}}, {});
    t.pages().SetChunkForTest(t.At(bound), {{{0, 512}}}, {});
    EXPECT_EQ(t.Alloc(12), t.Run(bound - 1, 100));
    t.pages().CheckInvariants();
    t.Free(t.At(bound - 1, 90), 22);
    t.pages().CheckInvariants();
    PageCache cache = t.pages().AllocToCache();
    t.pages().CheckInvariants();
    EXPECT_EQ(cache.free_pages(), PageCount(128 - 90));
    cache.Flush(t.pages());
    t.pages().CheckInvariants();
    EXPECT_EQ(t.Alloc(422), t.Run(bound - 1, 90));
    EXPECT_EQ(t.Alloc(1), kNothing);
  }
}

// The last added chunk is not the last of the entries above it.
TEST(PageAllocTailTest, ATailMayEndWithWhatWasAdded) {
  TestPages t;
  ASSERT_TRUE(t.Grow(kRootChunks, 3));
  const PageAlloc& p = t.pages();
  for (uint32_t i = 1; i <= 3 * kChunkPages; ++i) {
    EXPECT_TRUE(t.Alloc(1));
    ASSERT_EQ(p.SummaryForTest(0, t.At(kRootChunks)),
              PallocSum::Pack(0, 3 * kChunkPages - i, 0));
  }
  for (uint64_t i = 3 * kChunkPages; i-- > 0;) t.Free(t.At(kRootChunks, i), 1);
  EXPECT_EQ(p.SummaryForTest(0, t.At(kRootChunks)),
            PallocSum::Pack(3 * kChunkPages, 3 * kChunkPages, 0));
  EXPECT_EQ(t.Alloc(2), t.Run(kRootChunks, 0));
  ASSERT_TRUE(t.Grow(kRootChunks + 4, 1));  // behind a gap
  EXPECT_EQ(t.Alloc(2), t.Run(kRootChunks, 2));
  EXPECT_EQ(p.SummaryForTest(0, t.At(kRootChunks)),
            PallocSum::Pack(0, 3 * kChunkPages - 4, 0));
}

class PageAllocExhaustTest : public testing::TestWithParam<uint64_t> {};

TEST_P(PageAllocExhaustTest, EveryPossibleRunIsHandedOut) {
  constexpr uint64_t kChunks = 5;
  const uint64_t pages = GetParam();
  TestPages t;
  ASSERT_TRUE(t.Grow(6, kChunks));
  const uint64_t runs = kChunks * kChunkPages / pages;
  for (int round = 0; round < 2; ++round) {
    const uint64_t scavenged = round == 0 ? pages : 0;
    for (uint64_t i = 0; i < runs; ++i) {
      ASSERT_EQ(t.Alloc(pages), t.Run(6, i * pages, scavenged)) << i;
    }
    ASSERT_EQ(t.Alloc(pages), kNothing);
    t.pages().CheckInvariants();
    t.Free(t.At(6), runs * pages);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, PageAllocExhaustTest,
                         testing::Values(1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 64,
                                         65, 511, 512, 513, 1023, 1024, 1025,
                                         1280, 2048, 2049, 2560));

// Freeing.

TEST(PageAllocFreeTest, PagesAtBothEndsOfAChunk) {
  TestPages t({{1, {kWholeChunk}}});
  for (const uint64_t page : {0u, 511u, 63u, 64u, 200u}) {
    t.Free(t.At(1, page), 1);
    t.pages().CheckInvariants();
    EXPECT_LE(t.pages().search_address(), t.At(1, page));
    EXPECT_EQ(t.Alloc(1), t.Run(1, page));
  }
}

TEST(PageAllocFreeTest, AnyPartOfAnAllocation) {
  TestPages t;
  ASSERT_TRUE(t.Grow(0, 1));
  EXPECT_EQ(t.Alloc(200), t.Run(0, 0, 200));
  t.Free(t.At(0, 50), 100);
  EXPECT_EQ(t.Used(0), (Ranges{{0, 50}, {150, 50}}));
  EXPECT_EQ(t.Alloc(101), t.Run(0, 200, 101));
  EXPECT_EQ(t.Alloc(100), t.Run(0, 50));
  t.Free(t.At(0, 0), 1);
  t.Free(t.At(0, 199), 1);
  EXPECT_EQ(t.Used(0), (Ranges{{1, 198}, {200, 101}}));
}

TEST(PageAllocFreeTest, SeveralAllocationsInOneCall) {
  TestPages t;
  ASSERT_TRUE(t.Grow(0, 2));
  for (uint64_t i = 0; i < 10; ++i) EXPECT_TRUE(t.Alloc(60));
  t.Free(t.At(0, 30), 540);
  EXPECT_EQ(t.Used(0), (Ranges{{0, 30}}));
  EXPECT_EQ(t.Used(1), (Ranges{{58, 30}}));
  EXPECT_EQ(t.Alloc(540), t.Run(0, 30, 0));
}

TEST(PageAllocFreeTest, JoinsWithTheFreePagesOnBothSides) {
  TestPages t({{0, {{10, 20}, {40, 472}}}});
  EXPECT_EQ(t.Alloc(40), kNothing);
  t.Free(t.At(0, 10), 20);
  EXPECT_EQ(t.Alloc(40), t.Run(0, 0));
}

TEST(PageAllocFreeTest, ManyChunksAtOnce) {
  TestPages t;
  ASSERT_TRUE(t.Grow(kRootChunks - 70, 140));
  EXPECT_EQ(t.Alloc(140 * 512), t.Run(kRootChunks - 70, 0, 140 * 512));
  t.Free(t.At(kRootChunks - 69, 3), 130 * 512);
  t.pages().CheckInvariants();
  EXPECT_EQ(t.pages().free_pages(), PageCount(130 * 512));
  EXPECT_EQ(t.pages().scavenged_pages(), PageCount(0));
  EXPECT_EQ(t.Alloc(130 * 512 + 1), kNothing);
  EXPECT_EQ(t.Alloc(130 * 512), t.Run(kRootChunks - 69, 3));
}

TEST(PageAllocFreeTest, AcrossRangesThatWereAddedSeparately) {
  TestPages t;
  ASSERT_TRUE(t.Grow(3, 1));
  ASSERT_TRUE(t.Grow(2, 1));
  EXPECT_EQ(t.Alloc(1024), t.Run(2, 0, 1024));
  t.Free(t.At(2, 100), 800);
  EXPECT_EQ(t.Used(2), (Ranges{{0, 100}}));
  EXPECT_EQ(t.Used(3), (Ranges{{388, 124}}));
}

TEST(PageAllocFreeTest, AlternatingWithAllocation) {
  TestPages t({{0, {}}, {1, {}}});
  const PageRun a = t.Alloc(3);
  const PageRun b = t.Alloc(3);
  const PageRun c = t.Alloc(3);
  EXPECT_EQ(c, t.Run(0, 6));
  t.Free(b.base, 3);
  EXPECT_EQ(t.Alloc(4), t.Run(0, 9));
  EXPECT_EQ(t.Alloc(2), t.Run(0, 3));
  t.Free(a.base, 3);
  EXPECT_EQ(t.Alloc(2), t.Run(0, 0));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 2));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 5));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 13));
}

// Aligned runs.

PageRun AllocAligned(TestPages& t, uint64_t pages, uint64_t alignment) {
  return t.pages().AllocAligned(PageCount(pages), PageCount(alignment));
}

TEST(PageAllocAlignedTest, TakesTheFirstAlignedPlace) {
  TestPages t({{0, {{0, 3}}, {{8, 2}}}});
  EXPECT_EQ(AllocAligned(t, 2, 1), t.Run(0, 3));
  EXPECT_EQ(AllocAligned(t, 2, 8), t.Run(0, 8, 2));
  EXPECT_EQ(AllocAligned(t, 10, 64), t.Run(0, 64));
  EXPECT_EQ(AllocAligned(t, 2, 2), t.Run(0, 6));
  // The pages passed over are still free.
  EXPECT_EQ(t.Alloc(1), t.Run(0, 5));
}

TEST(PageAllocAlignedTest, FindsARunThatLeavesNoSlack) {
  // A search for a longer run to cut from would find nothing.
  TestPages t({{0, {{0, 128}, {192, 320}}}});
  EXPECT_EQ(AllocAligned(t, 64, 64), t.Run(0, 128));
  EXPECT_EQ(AllocAligned(t, 1, 1), kNothing);
}

TEST(PageAllocAlignedTest, PassesOverRunsThatAreNotAligned) {
  Ranges used;
  for (uint32_t i = 0; i < 448; i += 4) used.push_back({i, 1});
  TestPages t({{0, used}, {5, {{0, 1}}}});
  EXPECT_EQ(AllocAligned(t, 3, 4), t.Run(0, 448));
  EXPECT_EQ(AllocAligned(t, 3, 512), kNothing);
  EXPECT_EQ(AllocAligned(t, 3, 256), t.Run(5, 256));
  EXPECT_EQ(t.Alloc(3), t.Run(0, 1));
}

TEST(PageAllocAlignedTest, AlignsToMoreThanAChunk) {
  TestPages t;
  ASSERT_TRUE(t.Grow(1, 40));
  EXPECT_EQ(AllocAligned(t, 3, 16 * 512), t.Run(16, 0, 3));
  EXPECT_EQ(AllocAligned(t, 512 * 9, 16 * 512), t.Run(32, 0, 512 * 9));
  EXPECT_EQ(AllocAligned(t, 1, 16 * 512), kNothing);
  EXPECT_EQ(t.Alloc(15 * 512), t.Run(1, 0, 15 * 512));
}

TEST(PageAllocAlignedTest, JumpsOverGaps) {
  TestPages t({{1, {}}, {kRootChunks + 3, {}}, {2 * kRootChunks, {}}});
  EXPECT_EQ(AllocAligned(t, 1, 1024), t.Run(2 * kRootChunks, 0));
  EXPECT_EQ(AllocAligned(t, 1, 1024), kNothing);
}

TEST(PageAllocAlignedTest, AlignmentBeyondTheAddressSpace) {
  TestPages t({ChunkState{1}});
  EXPECT_EQ(AllocAligned(t, 1, uint64_t{1} << 63), kNothing);
  EXPECT_EQ(AllocAligned(t, 1, uint64_t{1} << 51), kNothing);
}

TEST(PageAllocAlignedTest, RunsAcrossChunks) {
  TestPages t({{7, {{0, 300}}}, {8, {}}, {9, {{400, 112}}}});
  EXPECT_EQ(AllocAligned(t, 1000, 128), t.Run(7, 384));
  EXPECT_EQ(AllocAligned(t, 40, 64), t.Run(7, 320));
  EXPECT_EQ(AllocAligned(t, 40, 64), kNothing);
}

// A refusing operating system.

TEST(PageAllocFailureTest, InitFailsCleanlyAtEveryCall) {
  const uint64_t failures = ForEachOsFailure([](FakeOsMemory& os) {
    const Addr base(uint64_t{1} << 50);
    PageAlloc pages(os, {base, base + kChunkBytes * 10'000});
    const bool ok = pages.Init();
    EXPECT_EQ(ok, os.failures() == 0);
  });
  EXPECT_GE(failures, 6u);
}

TEST(PageAllocFailureTest, AFailedGrowthChangesNothing) {
  const uint64_t failures = ForEachOsFailure([](FakeOsMemory& os) {
    const Addr base(uint64_t{1} << 50);
    PageAlloc pages(os, {base, base + kChunkBytes * (3 * kRootChunks)});
    if (!pages.Init()) return;
    // Ranges apart, so that each needs tables and the list outgrows its
    // inline part.
    uint64_t grown = 0;
    for (uint64_t i = 0; i < 40; ++i) {
      const uint64_t before = os.failures();
      const bool ok =
          pages.Grow(base + kChunkBytes * (i * 301), kChunkBytes * 2);
      ASSERT_EQ(ok, os.failures() == before);
      if (ok) ++grown;
      ASSERT_EQ(pages.in_use().size(), grown);
      ASSERT_EQ(pages.free_pages(), PageCount(grown * 1024));
      pages.CheckInvariants();
    }
    // What failed once can be done later.
    if (grown < 40) {
      for (uint64_t i = 0; i < 40; ++i) {
        const Addr a = base + kChunkBytes * (i * 301);
        if (!pages.in_use().Contains(a)) {
          ASSERT_TRUE(pages.Grow(a, kChunkBytes * 2));
        }
      }
    }
    for (uint64_t i = 0; i < 40; ++i) {
      ASSERT_TRUE(pages.Alloc(PageCount(1024)));
    }
    ASSERT_FALSE(pages.Alloc(PageCount(1)));
    pages.CheckInvariants();
  });
  EXPECT_GE(failures, 20u);
}

}  // namespace
}  // namespace tricolor::pagealloc
