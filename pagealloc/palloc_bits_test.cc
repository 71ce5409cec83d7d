// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/palloc_bits.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"
#include "tricolor/pagealloc/plain_bits.h"

namespace tricolor::pagealloc {
namespace {

constexpr uint32_t kNotFound = PallocBits::kNotFound;

void ExpectEqual(const PallocBits& bits, const PlainBits& plain) {
  for (uint32_t i = 0; i < kChunkPages; ++i) {
    ASSERT_EQ(bits.Get(i), plain.Get(i)) << "page " << i;
  }
}

// Bounds of words and of the chunk, and what is beside them.
std::vector<ChunkRange> EdgeRanges() {
  const uint32_t edges[] = {0,   1,   31,  63,  64,  65,  127, 128, 129, 255,
                            256, 320, 383, 447, 448, 449, 510, 511, 512};
  std::vector<ChunkRange> ranges;
  for (const uint32_t begin : edges) {
    for (const uint32_t end : edges) {
      if (begin < end) ranges.push_back({begin, end - begin});
    }
  }
  return ranges;
}

// Bitmaps of runs of ones and zeros; their mean length is `length`.
PlainBits RandomRuns(std::mt19937_64& random, uint32_t length) {
  PlainBits plain;
  bool value = random() % 2 == 0;
  for (uint32_t i = 0; i < kChunkPages;) {
    const auto run = std::min(
        static_cast<uint32_t>(1 + random() % (2 * length)), kChunkPages - i);
    plain.Set(i, run, value);
    i += run;
    value = !value;
  }
  return plain;
}

TEST(PallocBitsTest, SetsAndClearsExactlyTheRange) {
  for (const ChunkRange r : EdgeRanges()) {
    SCOPED_TRACE(testing::Message() << "[" << r.first << ", +" << r.count);
    PallocBits bits;
    PlainBits plain;
    bits.SetRange(r.first, r.count);
    plain.Set(r.first, r.count, true);
    ExpectEqual(bits, plain);

    bits.SetAll();
    plain.Set(0, kChunkPages, true);
    bits.ClearRange(r.first, r.count);
    plain.Set(r.first, r.count, false);
    ExpectEqual(bits, plain);
  }
}

TEST(PallocBitsTest, SettingKeepsWhatWasSetAround) {
  PallocBits bits;
  bits.SetRange(10, 5);
  bits.SetRange(12, 100);
  bits.SetRange(200, 1);
  EXPECT_EQ(bits.PopcountRange(0, kChunkPages), 103u);
  bits.ClearRange(14, 2);
  EXPECT_EQ(bits.PopcountRange(0, kChunkPages), 101u);
  EXPECT_TRUE(bits.Get(13));
  EXPECT_FALSE(bits.Get(14));
  EXPECT_FALSE(bits.Get(15));
  EXPECT_TRUE(bits.Get(16));
}

TEST(PallocBitsTest, SetAllAndClearAll) {
  PallocBits bits;
  bits.SetAll();
  EXPECT_EQ(bits.PopcountRange(0, kChunkPages), kChunkPages);
  bits.ClearAll();
  EXPECT_EQ(bits, PallocBits());
}

TEST(PallocBitsTest, PopcountCountsOnlyTheRange) {
  std::mt19937_64 random(11);
  PallocBits all;
  all.SetAll();
  for (const ChunkRange r : EdgeRanges()) {
    EXPECT_EQ(all.PopcountRange(r.first, r.count), r.count);
    EXPECT_EQ(PallocBits().PopcountRange(r.first, r.count), 0u);
    const PlainBits plain = RandomRuns(random, 9);
    EXPECT_EQ(plain.Bits().PopcountRange(r.first, r.count),
              plain.Ones(r.first, r.count));
  }
}

TEST(PallocBitsTest, Block64IsTheAlignedBlockOfThePage) {
  PallocBits bits;
  bits.SetRange(64, 3);
  EXPECT_EQ(bits.Block64(64), 7u);
  EXPECT_EQ(bits.Block64(127), 7u);
  EXPECT_EQ(bits.Block64(63), 0u);
  EXPECT_EQ(bits.Block64(128), 0u);
  bits.SetBlock64(130, uint64_t{1} << 63);
  EXPECT_TRUE(bits.Get(191));
  bits.ClearBlock64(100, 2);
  EXPECT_EQ(bits.Block64(64), 5u);
}

// Summaries.

PallocSum SumOf(std::vector<ChunkRange> used) {
  PallocBits bits;
  for (const ChunkRange r : used) bits.SetRange(r.first, r.count);
  return bits.Summarize();
}

TEST(PallocBitsTest, SummarizesSimpleChunks) {
  EXPECT_EQ(SumOf({}), PallocSum::AllFree(kChunkPages));
  EXPECT_EQ(SumOf({{0, 512}}), PallocSum());
  EXPECT_EQ(SumOf({{0, 1}}), PallocSum::Pack(0, 511, 511));
  EXPECT_EQ(SumOf({{511, 1}}), PallocSum::Pack(511, 511, 0));
  EXPECT_EQ(SumOf({{200, 1}}), PallocSum::Pack(200, 311, 311));
  EXPECT_EQ(SumOf({{0, 1}, {511, 1}}), PallocSum::Pack(0, 510, 0));
  EXPECT_EQ(SumOf({{1, 510}}), PallocSum::Pack(1, 1, 1));
}

TEST(PallocBitsTest, SummarizesRunsAtAllPlaces) {
  // A run of each length at each place of a chunk that is used otherwise, and
  // beside a free first page.
  for (uint32_t count = 1; count <= 130; ++count) {
    for (uint32_t first = 2; first + count <= kChunkPages; first += 3) {
      PallocBits bits;
      bits.SetAll();
      bits.ClearRange(first, count);
      const uint32_t end = first + count == kChunkPages ? count : 0;
      ASSERT_EQ(bits.Summarize(), PallocSum::Pack(0, count, end));
      bits.ClearRange(0, 1);
      ASSERT_EQ(bits.Summarize(), PallocSum::Pack(1, count, end));
    }
  }
}

TEST(PallocBitsTest, SummarizesTheLongestOfManyRuns) {
  // The k-th free run has k pages: the last is the longest.
  PlainBits plain;
  plain.Set(0, kChunkPages, true);
  uint32_t at = 1;
  for (uint32_t k = 1; at + k < kChunkPages; ++k) {
    plain.Set(at, k, false);
    at += k + 1;
  }
  EXPECT_EQ(plain.Bits().Summarize(), plain.Summarize());
  // Only single pages.
  PallocBits striped;
  for (uint32_t i = 0; i < kChunkPages; i += 2) striped.SetRange(i, 1);
  EXPECT_EQ(striped.Summarize(), PallocSum::Pack(0, 1, 1));
}

TEST(PallocBitsTest, SummarizesRandomChunksLikeTheLoop) {
  std::mt19937_64 random(12);
  for (int i = 0; i < 1500; ++i) {
    const PlainBits plain =
        RandomRuns(random, static_cast<uint32_t>(1 + random() % 90));
    ASSERT_EQ(plain.Bits().Summarize(), plain.Summarize()) << "case " << i;
  }
}

TEST(PallocBitsTest, KeepsASummaryThroughRandomChanges) {
  std::mt19937_64 random(13);
  for (int chunk = 0; chunk < 200; ++chunk) {
    PlainBits plain =
        RandomRuns(random, static_cast<uint32_t>(1 + random() % 40));
    PallocBits bits = plain.Bits();
    PallocSum sum = bits.Summarize();
    for (int i = 0; i < 50; ++i) {
      // A run that is all ones or all zeros, or a part of it.
      auto first = static_cast<uint32_t>(random() % kChunkPages);
      uint32_t count = 1;
      while (random() % 16 != 0 && first + count < kChunkPages &&
             plain.Get(first + count) == plain.Get(first)) {
        ++count;
      }
      const bool was_set = plain.Get(first);
      plain.Set(first, count, !was_set);
      if (was_set) {
        bits.ClearRange(first, count);
        sum = bits.SummarizeAfterClear(sum, first, count);
      } else {
        bits.SetRange(first, count);
        sum = bits.SummarizeAfterSet(sum, first, count);
      }
      ASSERT_EQ(sum, plain.Summarize());
    }
  }
}

TEST(PallocBitsTest, ExtendsARangeOverTheZerosBesideIt) {
  PallocBits bits;
  EXPECT_EQ(bits.ExtendOverZeros(100, 1), (ChunkRange{0, 512}));
  EXPECT_EQ(bits.ExtendOverZeros(0, 512), (ChunkRange{0, 512}));
  bits.SetAll();
  EXPECT_EQ(bits.ExtendOverZeros(100, 1), (ChunkRange{100, 1}));
  EXPECT_EQ(bits.ExtendOverZeros(0, 1), (ChunkRange{0, 1}));
  EXPECT_EQ(bits.ExtendOverZeros(511, 1), (ChunkRange{511, 1}));
  bits.ClearRange(60, 10);
  bits.ClearRange(80, 120);
  EXPECT_EQ(bits.ExtendOverZeros(70, 10), (ChunkRange{60, 140}));
  EXPECT_EQ(bits.ExtendOverZeros(59, 1), (ChunkRange{59, 11}));
  EXPECT_EQ(bits.ExtendOverZeros(64, 64), (ChunkRange{60, 140}));
}

// Searches.

TEST(PallocBitsTest, FindsInAnEmptyChunkAtTheHint) {
  const PallocBits bits;
  for (const uint32_t count : {1u, 2u, 63u, 64u, 65u, 128u, 511u}) {
    const uint32_t last = kChunkPages - count;
    for (const uint32_t hint : {0u, 1u, last}) {
      if (hint > last) continue;
      EXPECT_EQ(bits.Find(count, hint), (PallocBits::FindResult{hint, hint}));
    }
    if (last + 1 < kChunkPages) {
      EXPECT_EQ(bits.Find(count, last + 1),
                (PallocBits::FindResult{kNotFound, last + 1}));
    }
  }
  EXPECT_EQ(bits.Find(512, 0), (PallocBits::FindResult{0, 0}));
}

TEST(PallocBitsTest, FindsNothingInAFullChunk) {
  PallocBits bits;
  bits.SetAll();
  for (const uint32_t count : {1u, 2u, 64u, 65u, 512u}) {
    EXPECT_EQ(bits.Find(count, 0),
              (PallocBits::FindResult{kNotFound, kNotFound}));
  }
}

TEST(PallocBitsTest, FindReportsTheFirstFreePageBeforeTheRun) {
  PallocBits bits;
  bits.SetAll();
  bits.ClearRange(5, 2);
  bits.ClearRange(70, 40);
  bits.ClearRange(300, 100);
  EXPECT_EQ(bits.Find(3, 0), (PallocBits::FindResult{70, 5}));
  EXPECT_EQ(bits.Find(41, 0), (PallocBits::FindResult{300, 5}));
  EXPECT_EQ(bits.Find(70, 0), (PallocBits::FindResult{300, 5}));
  EXPECT_EQ(bits.Find(101, 0), (PallocBits::FindResult{kNotFound, 5}));
  EXPECT_EQ(bits.Find(3, 107), (PallocBits::FindResult{107, 107}));
  EXPECT_EQ(bits.Find(4, 107), (PallocBits::FindResult{300, 107}));
}

TEST(PallocBitsTest, FindsRunsOfEachLengthAcrossWordBounds) {
  for (uint32_t count = 1; count <= 200; ++count) {
    for (uint32_t first = 60; first <= 68; ++first) {
      PallocBits bits;
      bits.SetAll();
      bits.ClearRange(first, count);
      ASSERT_EQ(bits.Find(count, 0), (PallocBits::FindResult{first, first}));
      ASSERT_EQ(bits.Find(count + 1, 0),
                (PallocBits::FindResult{kNotFound, first}));
    }
  }
}

TEST(PallocBitsTest, FindsLikeTheLoopInRandomChunks) {
  std::mt19937_64 random(14);
  for (int i = 0; i < 3000; ++i) {
    const PlainBits plain =
        RandomRuns(random, static_cast<uint32_t>(1 + random() % 120));
    const auto longest = uint32_t{plain.Summarize().max()};
    const auto hint = static_cast<uint32_t>(random() % kChunkPages);
    const PallocBits bits = plain.Bits();
    for (const uint32_t count :
         {1u, 2u, longest, longest + 1,
          static_cast<uint32_t>(1 + random() % kChunkPages)}) {
      if (count == 0) continue;
      ASSERT_EQ(bits.Find(count, 0), plain.Find(count, 0)) << count;
      ASSERT_EQ(bits.Find(count, hint), plain.Find(count, hint)) << count;
    }
  }
}

// The two bitmaps together.

TEST(PallocDataTest, AllocateCountsAndClearsScavengedPages) {
  PallocData data;
  data.Scavenge(10, 20);
  EXPECT_EQ(data.Allocate(0, 12), 2u);
  EXPECT_EQ(data.Allocate(12, 300), 18u);
  EXPECT_EQ(data.Allocate(312, 200), 0u);
  EXPECT_EQ(data.scavenged(), PallocBits());
  EXPECT_EQ(data.used().PopcountRange(0, kChunkPages), kChunkPages);
}

TEST(PallocDataTest, FreedPagesAreNotScavenged) {
  PallocData data;
  data.Reset();
  EXPECT_EQ(data.scavenged().PopcountRange(0, kChunkPages), kChunkPages);
  EXPECT_EQ(data.Allocate(100, 10), 10u);
  data.Free(100, 10);
  EXPECT_EQ(data.scavenged().PopcountRange(100, 10), 0u);
  EXPECT_EQ(data.used(), PallocBits());
}

TEST(PallocDataTest, BlocksMoveBothBitmaps) {
  PallocData data;
  data.Reset();
  data.AllocateBlock64(70, 0xf0);
  EXPECT_EQ(data.used().Block64(64), 0xf0u);
  EXPECT_EQ(data.scavenged().Block64(64), ~uint64_t{0xf0});
  data.FreeBlock64(70, 0xf0, 0x30);
  EXPECT_EQ(data.used().Block64(64), 0u);
  EXPECT_EQ(data.scavenged().Block64(64), ~uint64_t{0xc0});
}

}  // namespace
}  // namespace tricolor::pagealloc
