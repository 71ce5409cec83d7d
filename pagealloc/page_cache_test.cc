// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/page_cache.h"

#include <bit>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc_fixture.h"

namespace tricolor::pagealloc {
namespace {

using Ranges = std::vector<ChunkRange>;

constexpr uint64_t kAll = ~uint64_t{0};
constexpr Addr kBase{uint64_t{7} << 30};

PageRun At(uint64_t page, uint64_t scavenged) {
  return {kBase + BytesOf(PageCount(page)), BytesOf(PageCount(scavenged))};
}

// Allocating from a cache.

TEST(PageCacheAllocTest, AnEmptyCacheHasNothing) {
  PageCache none;
  EXPECT_TRUE(none.Empty());
  EXPECT_EQ(none.Alloc(PageCount(1)), PageRun{});
  EXPECT_EQ(none.Alloc(PageCount(64)), PageRun{});
  PageCache used_up(kBase, 0, 0);
  EXPECT_TRUE(used_up.Empty());
  EXPECT_EQ(used_up.Alloc(PageCount(1)), PageRun{});
  EXPECT_EQ(used_up.Alloc(PageCount(2)), PageRun{});
}

TEST(PageCacheAllocTest, TakesTheLowestPage) {
  PageCache cache(kBase, 0b10101000, 0b00100000);
  EXPECT_EQ(cache.Alloc(PageCount(1)), At(3, 0));
  EXPECT_EQ(cache.Alloc(PageCount(1)), At(5, 1));
  EXPECT_EQ(cache.free_bits(), 0b10000000u);
  EXPECT_EQ(cache.scavenged_bits(), 0u);
  EXPECT_EQ(cache.Alloc(PageCount(1)), At(7, 0));
  EXPECT_TRUE(cache.Empty());
  EXPECT_EQ(cache.base(), kBase);
}

TEST(PageCacheAllocTest, TakesAllPagesInOrder) {
  PageCache cache(kBase, kAll, kAll);
  for (uint64_t i = 0; i < 64; ++i) {
    EXPECT_EQ(cache.free_pages(), PageCount(64 - i));
    EXPECT_EQ(cache.Alloc(PageCount(1)), At(i, 1));
  }
  EXPECT_TRUE(cache.Empty());
}

TEST(PageCacheAllocTest, TakesTheLowestRunThatIsLongEnough) {
  // Runs of 1, 2, 4 and 8 pages.
  PageCache cache(kBase, 0b111111110'11110'110'1, 0b100000010'10010'000'1);
  EXPECT_EQ(cache.Alloc(PageCount(3)), At(5, 1));
  EXPECT_EQ(cache.Alloc(PageCount(2)), At(2, 0));
  EXPECT_EQ(cache.Alloc(PageCount(8)), At(10, 2));
  EXPECT_EQ(cache.Alloc(PageCount(2)), PageRun{});
  EXPECT_EQ(cache.free_bits(), 0b1'00000001u);
  EXPECT_EQ(cache.scavenged_bits(), 0b1'00000001u);
}

TEST(PageCacheAllocTest, TakesTheWholeWindowAtOnce) {
  PageCache cache(kBase, kAll, 0xff);
  EXPECT_EQ(cache.Alloc(PageCount(64)), At(0, 8));
  EXPECT_TRUE(cache.Empty());
  EXPECT_EQ(cache.scavenged_bits(), 0u);
  PageCache hole(kBase, kAll & ~(uint64_t{1} << 40), 0);
  EXPECT_EQ(hole.Alloc(PageCount(64)), PageRun{});
  EXPECT_EQ(hole.Alloc(PageCount(41)), PageRun{});
  EXPECT_EQ(hole.Alloc(PageCount(40)), At(0, 0));
  EXPECT_EQ(hole.Alloc(PageCount(23)), At(41, 0));
}

TEST(PageCacheAllocTest, ReachesTheTopOfTheWindow) {
  PageCache cache(kBase, uint64_t{7} << 61, uint64_t{4} << 61);
  EXPECT_EQ(cache.Alloc(PageCount(3)), At(61, 1));
  EXPECT_TRUE(cache.Empty());
}

TEST(PageCacheAllocTest, EachRandomRunIsFreeBeforeAndUsedAfter) {
  std::mt19937_64 random(31);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t free = random() | (i % 2 == 0 ? random() : 0);
    const uint64_t scavenged = free & random();
    PageCache cache(kBase, free, scavenged);
    const auto n = static_cast<unsigned>(1 + random() % 20);
    const PageRun run = cache.Alloc(PageCount(n));
    unsigned lowest = 0;
    while (lowest + n <= 64 &&
           (free & RangeMask(lowest, n)) != RangeMask(lowest, n)) {
      ++lowest;
    }
    if (lowest + n > 64) {
      ASSERT_EQ(run, PageRun{});
      ASSERT_EQ(cache.free_bits(), free);
      continue;
    }
    const uint64_t mask = RangeMask(lowest, n);
    ASSERT_EQ(run, At(lowest,
                      static_cast<uint64_t>(std::popcount(scavenged & mask))));
    ASSERT_EQ(cache.free_bits(), free & ~mask);
    ASSERT_EQ(cache.scavenged_bits(), scavenged & ~mask);
  }
}

// Filling one.

TEST(AllocToCacheTest, TakesAFreshWindow) {
  TestPages t;
  ASSERT_TRUE(t.Grow(0, 1));
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(cache.base(), t.At(0));
  EXPECT_EQ(cache.free_bits(), kAll);
  EXPECT_EQ(cache.scavenged_bits(), kAll);
  EXPECT_EQ(t.Used(0), (Ranges{{0, 64}}));
  EXPECT_EQ(t.Scavenged(0), (Ranges{{64, 448}}));
  EXPECT_EQ(t.pages().free_pages(), PageCount(448));
  EXPECT_EQ(t.pages().scavenged_pages(), PageCount(448));
}

TEST(AllocToCacheTest, TakesWhatIsFreeAroundTheLowestFreePage) {
  TestPages t({{0, {{0, 70}, {72, 3}, {100, 400}}, {{80, 8}}}});
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(cache.base(), t.At(0, 64));
  const uint64_t free = RangeMask(6, 2) | RangeMask(11, 25);
  EXPECT_EQ(cache.free_bits(), free);
  EXPECT_EQ(cache.scavenged_bits(), RangeMask(16, 8));
  // The next one goes to the last window of the chunk.
  PageCache next = t.pages().AllocToCache();
  EXPECT_EQ(next.base(), t.At(0, 448));
  EXPECT_EQ(next.free_bits(), RangeMask(52, 12));
  EXPECT_EQ(t.Used(0), (Ranges{kWholeChunk}));
}

TEST(AllocToCacheTest, SearchAddressIsTheLastPageOfTheWindow) {
  // Nothing beyond this chunk has been added: an address past the window would
  // be without tables.
  TestPages t({{0, {{0, 448}}}});
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(cache.base(), t.At(0, 448));
  EXPECT_EQ(t.pages().search_address(), t.At(0, 511));
  t.pages().CheckInvariants();
  EXPECT_EQ(t.pages().AllocToCache().base(), Addr());
  EXPECT_TRUE(t.pages().search_address().is_null());
}

TEST(AllocToCacheTest, GoesToALaterChunk) {
  TestPages t({{0, {kWholeChunk}}, {1, {{0, 511}}}});
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(cache.base(), t.At(1, 448));
  EXPECT_EQ(cache.free_bits(), uint64_t{1} << 63);
}

TEST(AllocToCacheTest, CrossesAGapOfTheAddressSpace) {
  const uint64_t far = 2 * kRootChunks + 77;
  TestPages t({{3, {kWholeChunk}}, {far, {}, {{1, 1}}}});
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(cache.base(), t.At(far));
  EXPECT_EQ(cache.free_bits(), kAll);
  EXPECT_EQ(cache.scavenged_bits(), 2u);
}

// The search address stands on the last page before the gap, which is taken.
TEST(AllocToCacheTest, GoesOnBeyondAGapAfterTheLastWindowOfARange) {
  const uint64_t far = kRootChunks + 5;
  TestPages t({{3, {{0, 450}}}, {far, {{0, 64}}}});
  EXPECT_EQ(t.pages().AllocToCache().base(), t.At(3, 448));
  EXPECT_EQ(t.pages().search_address(), t.At(3, 511));
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(cache.base(), t.At(far, 64));
  EXPECT_EQ(cache.free_bits(), kAll);
  t.pages().CheckInvariants();
  EXPECT_EQ(t.Alloc(1), t.Run(far, 128));
}

TEST(AllocToCacheTest, ScavengedAndOtherPagesOfTheLastWindowAreToldApart) {
  TestPages t({{1, {{0, 449}, {500, 1}}, {{460, 20}, {505, 7}}}});
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(cache.base(), t.At(1, 448));
  EXPECT_EQ(cache.free_bits(), kAll & ~(uint64_t{1} | uint64_t{1} << 52));
  EXPECT_EQ(cache.scavenged_bits(), RangeMask(12, 20) | RangeMask(57, 7));
  EXPECT_EQ(t.pages().free_pages(), PageCount(0));
  EXPECT_EQ(t.pages().scavenged_pages(), PageCount(0));
}

TEST(AllocToCacheTest, AFullAllocatorGivesAnEmptyCache) {
  TestPages nothing_grown;
  EXPECT_TRUE(nothing_grown.pages().AllocToCache().Empty());
  TestPages full({{0, {kWholeChunk}}, {9, {kWholeChunk}}});
  PageCache cache = full.pages().AllocToCache();
  EXPECT_TRUE(cache.Empty());
  EXPECT_TRUE(cache.base().is_null());
  EXPECT_EQ(full.Alloc(1), PageRun{});
}

TEST(AllocToCacheTest, GrowthBelowIsUsedNext) {
  TestPages t({ChunkState{8}});
  EXPECT_EQ(t.pages().AllocToCache().base(), t.At(8));
  ASSERT_TRUE(t.Grow(2, 1));
  EXPECT_EQ(t.pages().AllocToCache().base(), t.At(2));
}

// Giving it back.

TEST(PageCacheFlushTest, AnEmptyCacheChangesNothing) {
  TestPages t({{0, {{0, 64}}}});
  PageCache never;
  never.Flush(t.pages());
  PageCache used_up(t.At(0), 0, 0);
  used_up.Flush(t.pages());
  EXPECT_TRUE(used_up.base().is_null());
  EXPECT_EQ(t.Used(0), (Ranges{{0, 64}}));
}

TEST(PageCacheFlushTest, RestoresFreeAndScavengedPages) {
  TestPages t({{0, {{0, 128}}, {{200, 10}}}});
  PageCache cache(t.At(0, 64), 0b111100, 0b011000);
  cache.Flush(t.pages());
  EXPECT_EQ(t.Used(0), (Ranges{{0, 66}, {70, 58}}));
  EXPECT_EQ(t.Scavenged(0), (Ranges{{67, 2}, {200, 10}}));
  EXPECT_TRUE(cache.Empty());
  EXPECT_TRUE(cache.base().is_null());
  EXPECT_EQ(cache.scavenged_bits(), 0u);
  EXPECT_EQ(t.Alloc(1), t.Run(0, 66, 0));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 67, 1));
}

TEST(PageCacheFlushTest, MovesTheSearchAddressBack) {
  TestPages t;
  ASSERT_TRUE(t.Grow(0, 2));
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(cache.Alloc(PageCount(2)), t.Run(0, 0, 2));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 64, 1));
  cache.Flush(t.pages());
  EXPECT_EQ(t.pages().search_address(), t.At(0, 2));
  EXPECT_EQ(t.Alloc(1), t.Run(0, 2, 1));
}

TEST(PageCacheFlushTest, OfAFullAllocatorMakesItUsable) {
  TestPages t({{5, {{0, 500}}}});
  PageCache cache = t.pages().AllocToCache();
  EXPECT_FALSE(t.Alloc(1));
  EXPECT_TRUE(t.pages().search_address().is_null());
  cache.Flush(t.pages());
  EXPECT_EQ(t.Alloc(12), t.Run(5, 500));
}

TEST(PageCacheFlushTest, RefillAndFlushAreInverse) {
  std::mt19937_64 random(32);
  for (int i = 0; i < 300; ++i) {
    Ranges used;
    Ranges scavenged;
    for (uint32_t p = 0; p < kChunkPages; ++p) {
      if (random() % 2 == 0) used.push_back({p, 1});
      if (random() % 2 == 0) scavenged.push_back({p, 1});
    }
    TestPages t({{1, used, scavenged}});
    const Ranges used_before = t.Used(1);
    const Ranges scavenged_before = t.Scavenged(1);
    PageCache caches[4];
    for (PageCache& cache : caches) cache = t.pages().AllocToCache();
    t.pages().CheckInvariants();
    for (PageCache& cache : caches) cache.Flush(t.pages());
    ASSERT_EQ(t.Used(1), used_before);
    ASSERT_EQ(t.Scavenged(1), scavenged_before);
  }
}

}  // namespace
}  // namespace tricolor::pagealloc
