// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/pagealloc/page_alloc_fixture.h"
#include "tricolor/pagealloc/scavenge_candidate.h"
#include "tricolor/pagealloc/scavenge_index.h"

namespace tricolor::pagealloc {
namespace {

using Ranges = std::vector<ChunkRange>;

// Filling groups.

uint64_t NaiveFill(uint64_t bits, uint32_t group) {
  uint64_t filled = 0;
  for (unsigned i = 0; i < 64; i += group) {
    if ((bits & RangeMask(i, group)) != 0) filled |= RangeMask(i, group);
  }
  return filled;
}

TEST(FillAlignedTest, FillsEachGroupThatHasABit) {
  EXPECT_EQ(FillAligned(0b1010, 1), 0b1010u);
  EXPECT_EQ(FillAligned(0b1010, 2), 0b1111u);
  EXPECT_EQ(FillAligned(0b0010'0000, 2), 0b0011'0000u);
  EXPECT_EQ(FillAligned(0x0100'0000'0000'0008, 4), 0x0f00'0000'0000'000fu);
  EXPECT_EQ(FillAligned(0x0100, 16), 0xffffu);
  EXPECT_EQ(FillAligned(0x0100, 32), 0xffff'ffffu);
  EXPECT_EQ(FillAligned(uint64_t{1} << 63, 64), ~uint64_t{0});
}

TEST(FillAlignedTest, AgreesWithTheLoopForEachGroup) {
  std::mt19937_64 random(41);
  for (uint32_t group = 1; group <= 64; group *= 2) {
    EXPECT_EQ(FillAligned(0, group), 0u);
    EXPECT_EQ(FillAligned(~uint64_t{0}, group), ~uint64_t{0});
    for (unsigned i = 0; i < 64; ++i) {
      const uint64_t one = uint64_t{1} << i;
      ASSERT_EQ(FillAligned(one, group), NaiveFill(one, group));
      ASSERT_EQ(FillAligned(~one, group), NaiveFill(~one, group));
    }
    for (int i = 0; i < 2000; ++i) {
      // Sparse words, for groups would all be filled otherwise.
      uint64_t bits = random() & random() & random();
      if (i % 2 == 0) bits &= random() & random() & random();
      ASSERT_EQ(FillAligned(bits, group), NaiveFill(bits, group));
    }
  }
}

// Choosing a candidate in a chunk.

constexpr ScavengeGranularity kPlain{1, 0};

PallocData Data(const Ranges& used, const Ranges& scavenged = {}) {
  PallocData data;
  for (const ChunkRange r : scavenged) data.Scavenge(r.first, r.count);
  for (const ChunkRange r : used) data.Allocate(r.first, r.count);
  return data;
}

ChunkRange Candidate(const PallocData& data, uint32_t max,
                     ScavengeGranularity granularity = kPlain,
                     ScavengeMode mode = ScavengeMode::kForce) {
  return FindScavengeCandidate(data, max, granularity, mode);
}

TEST(ScavengeCandidateTest, NothingInUsedOrScavengedChunks) {
  EXPECT_EQ(Candidate(Data({kWholeChunk}), 512).count, 0u);
  EXPECT_EQ(Candidate(Data({}, {kWholeChunk}), 512).count, 0u);
  EXPECT_EQ(Candidate(Data({{0, 256}}, {{256, 256}}), 512).count, 0u);
}

TEST(ScavengeCandidateTest, TheUpperEndOfTheHighestRun) {
  const PallocData data = Data({{10, 5}, {400, 100}}, {{500, 12}});
  EXPECT_EQ(Candidate(data, 1), (ChunkRange{399, 1}));
  EXPECT_EQ(Candidate(data, 7), (ChunkRange{393, 7}));
  EXPECT_EQ(Candidate(data, 512), (ChunkRange{15, 385}));
  EXPECT_EQ(Candidate(Data({}), 512), (ChunkRange{0, 512}));
  EXPECT_EQ(Candidate(Data({}), 0), (ChunkRange{511, 1}));
  EXPECT_EQ(Candidate(Data({{1, 511}}), 512), (ChunkRange{0, 1}));
}

TEST(ScavengeCandidateTest, WholeOsPagesOnly) {
  for (const uint32_t os_page : {2u, 8u, 64u}) {
    const ScavengeGranularity granularity{os_page, 0};
    // A used page in the middle of an OS page spoils all of it.
    const PallocData data = Data({{320 + os_page / 2, 1}});
    EXPECT_EQ(Candidate(data, 512, granularity),
              (ChunkRange{320 + os_page, 192 - os_page}));
    // So does a scavenged one.
    const PallocData half = Data({}, {{511, 1}});
    EXPECT_EQ(Candidate(half, 1, granularity),
              (ChunkRange{512 - 2 * os_page, os_page}));
    // Counts are rounded up.
    EXPECT_EQ(Candidate(Data({}), os_page + 1, granularity),
              (ChunkRange{512 - 2 * os_page, 2 * os_page}));
    EXPECT_EQ(Candidate(Data({{0, 511}}), 1, granularity).count, 0u);
  }
}

TEST(ScavengeCandidateTest, DoesNotBreakAFreeHugePage) {
  const ScavengeGranularity granularity{1, 256};
  // The cut goes through the upper huge page, which is free as a whole.
  EXPECT_EQ(Candidate(Data({}), 1, granularity), (ChunkRange{256, 256}));
  EXPECT_EQ(Candidate(Data({}), 257, granularity), (ChunkRange{0, 512}));
  EXPECT_EQ(Candidate(Data({}), 256, granularity), (ChunkRange{256, 256}));
  // It is not free as a whole: what was asked for.
  EXPECT_EQ(Candidate(Data({{256, 1}}), 3, granularity), (ChunkRange{509, 3}));
  EXPECT_EQ(Candidate(Data({{511, 1}}), 3, granularity), (ChunkRange{508, 3}));
  // The upper one is broken already, the lower one is whole.
  EXPECT_EQ(Candidate(Data({{500, 12}}), 245, granularity),
            (ChunkRange{0, 500}));
  // Huge pages of the size of OS pages or less need no care.
  EXPECT_EQ(Candidate(Data({}), 1, {8, 8}), (ChunkRange{504, 8}));
}

// Giving back.

constexpr ByteCount Pages(uint64_t n) { return BytesOf(PageCount(n)); }

TEST(PageAllocScavengeTest, NothingToGiveBack) {
  TestPages t;
  EXPECT_EQ(t.pages().Scavenge(Pages(1)), ByteCount(0));
  ASSERT_TRUE(t.Grow(0, 2));  // scavenged already
  EXPECT_EQ(t.pages().Scavenge(Pages(1)), ByteCount(0));
  EXPECT_EQ(t.Alloc(1024), t.Run(0, 0, 1024));
  EXPECT_EQ(t.pages().Scavenge(Pages(1)), ByteCount(0));
  t.Free(t.At(0), 1024);
  EXPECT_EQ(t.pages().Scavenge(ByteCount(0)), ByteCount(0));
  EXPECT_TRUE(t.os().released().empty());
}

TEST(PageAllocScavengeTest, FromTheTopDown) {
  TestPages t({{0, {}}, {1, {{0, 500}}}, {9, {{0, 510}}}}, ByteCount(4 << 10),
              ByteCount(0));
  EXPECT_EQ(t.pages().Scavenge(Pages(1)), Pages(1));
  EXPECT_EQ(t.pages().Scavenge(Pages(3)), Pages(3));
  EXPECT_EQ(t.os().released(),
            (std::vector<AddrRange>{{t.At(9, 511), t.At(10)},
                                    {t.At(9, 510), t.At(9, 511)},
                                    {t.At(1, 510), t.At(2)}}));
  EXPECT_EQ(t.pages().Scavenge(Pages(20)), Pages(20));
  EXPECT_EQ(t.Scavenged(0), (Ranges{{502, 10}}));
  t.pages().CheckInvariants();
  // Everything, and no more.
  EXPECT_EQ(t.pages().Scavenge(Pages(100'000)), Pages(502));
  EXPECT_EQ(t.pages().Scavenge(Pages(1)), ByteCount(0));
  EXPECT_EQ(t.pages().scavenged_pages(), t.pages().free_pages());
}

TEST(PageAllocScavengeTest, BytesAreRoundedUpToPages) {
  TestPages t({{0, {}}}, ByteCount(4 << 10), ByteCount(0));
  EXPECT_EQ(t.pages().Scavenge(ByteCount(1)), Pages(1));
  EXPECT_EQ(t.pages().Scavenge(Pages(1) + ByteCount(1)), Pages(2));
  TestPages large({{0, {}}}, ByteCount(64 << 10), ByteCount(0));
  EXPECT_EQ(large.pages().Scavenge(ByteCount(1)), Pages(8));
  EXPECT_EQ(large.pages().Scavenge(Pages(9)), Pages(16));
}

TEST(PageAllocScavengeTest, FreedPagesAreFoundAgain) {
  TestPages t({{0, {}}, {1, {}}}, ByteCount(4 << 10), ByteCount(0));
  EXPECT_EQ(t.pages().Scavenge(Pages(1024)), Pages(1024));
  EXPECT_EQ(t.Alloc(700), t.Run(0, 0, 700));
  t.Free(t.At(0, 100), 50);
  t.Free(t.At(0, 10), 5);
  EXPECT_EQ(t.pages().Scavenge(Pages(1)), Pages(1));
  EXPECT_EQ(t.os().released().back(), (AddrRange{t.At(0, 149), t.At(0, 150)}));
  t.Free(t.At(1, 180), 8);
  EXPECT_EQ(t.pages().Scavenge(Pages(100)), Pages(62));
  EXPECT_EQ(t.pages().Scavenge(Pages(100)), Pages(0));
}

TEST(PageAllocScavengeTest, FlushedPagesAreFoundAgain) {
  TestPages t({{0, {}}}, ByteCount(4 << 10), ByteCount(0));
  EXPECT_EQ(t.pages().Scavenge(Pages(500)), Pages(500));
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(t.pages().Scavenge(Pages(100)), Pages(0));
  EXPECT_EQ(cache.Alloc(PageCount(10)), t.Run(0, 0, 0));
  cache.Flush(t.pages());
  EXPECT_EQ(t.pages().Scavenge(Pages(100)), Pages(2));
  EXPECT_EQ(t.Scavenged(0), (Ranges{{10, 502}}));
}

TEST(PageAllocScavengeTest, AllocationTakesScavengedPagesBack) {
  TestPages t({{0, {}}}, ByteCount(4 << 10), ByteCount(0));
  EXPECT_EQ(t.pages().Scavenge(Pages(412)), Pages(412));
  EXPECT_EQ(t.Alloc(150), t.Run(0, 0, 50));
  t.Free(t.At(0), 150);
  EXPECT_EQ(t.pages().scavenged_pages(), PageCount(362));
  EXPECT_EQ(t.Alloc(150), t.Run(0, 0, 0));
}

TEST(PageAllocScavengeTest, ARefusingSystemKeepsItsPages) {
  TestPages t({{0, {}}}, ByteCount(4 << 10), ByteCount(0));
  t.os().FailUnused(true);
  EXPECT_EQ(t.pages().Scavenge(Pages(10)), ByteCount(0));
  EXPECT_EQ(t.pages().free_pages(), PageCount(512));
  EXPECT_EQ(t.pages().scavenged_pages(), PageCount(0));
  t.pages().CheckInvariants();
  t.os().FailUnused(false);
  EXPECT_EQ(t.pages().Scavenge(Pages(10)), Pages(10));
  EXPECT_EQ(t.os().released().front(), (AddrRange{t.At(0, 502), t.At(1)}));
}

TEST(PageAllocScavengeTest, ACandidateIsInvisibleUntilReturned) {
  TestPages t({{0, {}}}, ByteCount(4 << 10), ByteCount(0));
  const AddrRange first = t.pages().TakeScavengeCandidate(Pages(500));
  EXPECT_EQ(first, (AddrRange{t.At(0, 12), t.At(1)}));
  EXPECT_EQ(t.Alloc(13), PageRun{});
  EXPECT_EQ(t.Alloc(12), t.Run(0, 0));
  const AddrRange none = t.pages().TakeScavengeCandidate(Pages(500));
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(none.base.is_null());
  t.pages().CheckInvariants();
  // Meanwhile the heap has grown, and pages have been freed.
  ASSERT_TRUE(t.Grow(1, 1));
  t.Free(t.At(0, 3), 2);
  t.pages().ReturnScavengeCandidate(first, /*released=*/true);
  EXPECT_EQ(t.Scavenged(0), (Ranges{{12, 500}}));
  EXPECT_EQ(t.Alloc(600), t.Run(0, 12, 600));
}

TEST(PageAllocScavengeTest, ACandidateThatWasNotReleasedIsOneAgain) {
  TestPages t({{3, {}}}, ByteCount(4 << 10), ByteCount(0));
  const AddrRange first = t.pages().TakeScavengeCandidate(Pages(4));
  t.pages().ReturnScavengeCandidate(first, /*released=*/false);
  t.pages().CheckInvariants();
  EXPECT_EQ(t.pages().TakeScavengeCandidate(Pages(4)), first);
  t.pages().ReturnScavengeCandidate(first, /*released=*/true);
  EXPECT_EQ(t.pages().TakeScavengeCandidate(Pages(4)).limit, first.base);
  t.pages().ReturnScavengeCandidate({first.base - Pages(4), first.base}, true);
}

TEST(PageAllocScavengeTest, RespectsOsPagesOfAllSizes) {
  for (const uint64_t os_page : {4u, 8u, 16u, 32u, 64u}) {
    TestPages t({{0, {{101, 1}}}, {1, {{0, 3}, {509, 2}}}},
                ByteCount(os_page << 10));
    // WindowOs checks that only whole OS pages are released.
    t.pages().Scavenge(Pages(10'000));
    const uint64_t group = os_page <= 8 ? 1 : os_page / 8;
    uint64_t lost = group - 1;            // beside page 101 of chunk 0
    lost += (group - 3 % group) % group;  // after page 2 of chunk 1
    const uint64_t first = 509 / group * group;
    const uint64_t last = (511 + group - 1) / group * group;
    lost += last - first - 2;  // around pages 509 and 510
    EXPECT_EQ(t.pages().free_pages() - t.pages().scavenged_pages(),
              PageCount(lost))
        << os_page;
  }
}

TEST(PageAllocScavengeTest, ReleasesWholeHugePages) {
  TestPages t({{0, {}}, {1, {{511, 1}}}});
  EXPECT_EQ(t.pages().Scavenge(Pages(1)), Pages(1));  // broken already
  EXPECT_EQ(t.pages().Scavenge(Pages(300)), Pages(510));
  EXPECT_EQ(t.pages().Scavenge(Pages(1)), Pages(256));
  EXPECT_EQ(t.Scavenged(0), (Ranges{{256, 256}}));
}

}  // namespace
}  // namespace tricolor::pagealloc
