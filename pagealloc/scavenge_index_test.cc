// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/scavenge_index.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/pagealloc/page_alloc_fixture.h"
#include "tricolor/pagealloc/page_cache.h"

namespace tricolor::pagealloc {
namespace {

constexpr ScavengeMode kForce = ScavengeMode::kForce;
constexpr ScavengeMode kBackground = ScavengeMode::kBackground;
constexpr ByteCount Pages(uint64_t n) { return BytesOf(PageCount(n)); }

// One chunk's word.

TEST(ChunkOccupancyTest, ZeroIsAChunkWithNothingToScavenge) {
  const ChunkOccupancy chunk;
  EXPECT_EQ(chunk.in_use(), 0u);
  EXPECT_EQ(chunk.last_in_use(0), 0u);
  EXPECT_EQ(chunk.last_in_use(7), 0u);
  EXPECT_FALSE(chunk.may_scavenge());
  EXPECT_FALSE(chunk.IsDense(0));
}

TEST(ChunkOccupancyTest, CountsFromNoPageToAll) {
  ChunkOccupancy chunk;
  for (uint32_t i = 0; i < kChunkPages; ++i) {
    EXPECT_EQ(chunk.in_use(), i);
    chunk.Add(1, 3);
  }
  EXPECT_EQ(chunk.in_use(), kChunkPages);
  EXPECT_EQ(chunk.last_in_use(3), 0u);
  EXPECT_EQ(chunk.last_in_use(4), kChunkPages);
  chunk.Remove(kChunkPages, /*may_scavenge=*/false, 3);
  EXPECT_EQ(chunk.in_use(), 0u);
  EXPECT_FALSE(chunk.may_scavenge());
}

TEST(ChunkOccupancyTest, DenseFrom496PagesOn) {
  ChunkOccupancy chunk;
  chunk.Add(495, 1);
  EXPECT_FALSE(chunk.IsDense(1));
  chunk.Add(1, 1);
  EXPECT_TRUE(chunk.IsDense(1));
  chunk.Add(16, 1);
  EXPECT_TRUE(chunk.IsDense(1));
  chunk.Remove(17, /*may_scavenge=*/true, 1);
  EXPECT_FALSE(chunk.IsDense(1));
}

TEST(ChunkOccupancyTest, DenseForTheRestOfTheNextGeneration) {
  ChunkOccupancy chunk;
  chunk.Add(496, 1);
  chunk.Remove(400, /*may_scavenge=*/true, 2);
  EXPECT_EQ(chunk.in_use(), 96u);
  EXPECT_EQ(chunk.last_in_use(2), 496u);
  EXPECT_TRUE(chunk.IsDense(2));
  EXPECT_EQ(chunk.last_in_use(3), 96u);
  EXPECT_FALSE(chunk.IsDense(3));
}

TEST(ChunkOccupancyTest, AGenerationWithoutChangesLeavesTheCounts) {
  ChunkOccupancy chunk;
  chunk.Add(500, 1);
  chunk.Remove(10, /*may_scavenge=*/true, 1);
  EXPECT_FALSE(chunk.IsDense(9));
  chunk.Add(6, 9);
  EXPECT_EQ(chunk.last_in_use(9), 490u);
  EXPECT_TRUE(chunk.IsDense(9));
  EXPECT_TRUE(chunk.may_scavenge());
}

TEST(ChunkOccupancyTest, KnowsWhetherThereMayBeSomething) {
  ChunkOccupancy chunk;
  chunk.Add(512, 0);
  chunk.Remove(5, /*may_scavenge=*/true, 0);
  chunk.Remove(5, /*may_scavenge=*/false, 1);
  chunk.Add(5, 2);
  EXPECT_TRUE(chunk.may_scavenge());
  chunk.ClearMayScavenge();
  EXPECT_FALSE(chunk.may_scavenge());
  EXPECT_EQ(chunk.in_use(), 507u);
  EXPECT_EQ(chunk.last_in_use(2), 502u);
}

// The generation's upper bits do not fit. A chunk that is left alone until the
// lower ones come again has its older count for one generation.
TEST(ChunkOccupancyTest, GenerationsWrapWithoutHarm) {
  constexpr uint64_t kEnd = uint64_t{1} << ChunkOccupancy::kGenerationBits;
  ChunkOccupancy chunk;
  chunk.Add(500, kEnd - 2);
  chunk.Remove(100, /*may_scavenge=*/true, kEnd - 1);
  EXPECT_EQ(chunk.last_in_use(kEnd - 1), 500u);
  EXPECT_EQ(chunk.last_in_use(kEnd), 400u);
  chunk.Add(1, kEnd);
  EXPECT_EQ(chunk.in_use(), 401u);
  EXPECT_EQ(chunk.last_in_use(kEnd), 400u);
  EXPECT_EQ(chunk.last_in_use(kEnd + 1), 401u);
  EXPECT_EQ(chunk.last_in_use(2 * kEnd), 400u);
  EXPECT_EQ(chunk.last_in_use(2 * kEnd + 1), 401u);
  EXPECT_TRUE(chunk.may_scavenge());
}

// The index.

class ScavengeIndexTest : public testing::Test {
 protected:
  ScavengeIndexTest() {
    EXPECT_TRUE(index_.Init(100));
    EXPECT_TRUE(index_.EnsureCommitted(0, 100));
  }
  void Fill(uint64_t chunk, uint32_t pages) { index_.NoteAlloc(chunk, pages); }
  void Free(uint64_t chunk, uint32_t pages) {
    index_.NoteFree(chunk, pages, /*may_scavenge=*/true);
  }

  FakeOsMemory os_;
  ScavengeIndex index_{os_};
};

TEST_F(ScavengeIndexTest, NothingToScavengeAtFirst) {
  EXPECT_EQ(index_.limit(kForce), 0u);
  EXPECT_EQ(index_.limit(kBackground), 0u);
  Fill(5, 12);
  EXPECT_EQ(index_.limit(kForce), 0u);
  EXPECT_FALSE(index_.MayScavenge(5, kForce));
}

TEST_F(ScavengeIndexTest, FreesRaiseBothLimits) {
  Fill(5, 12);
  Fill(99, 12);
  Free(5, 1);
  EXPECT_EQ(index_.limit(kForce), 6u);
  EXPECT_EQ(index_.limit(kBackground), 6u);
  EXPECT_TRUE(index_.MayScavenge(5, kBackground));
  Free(99, 1);
  EXPECT_EQ(index_.limit(kForce), 100u);
  Free(5, 1);
  EXPECT_EQ(index_.limit(kForce), 100u);
}

TEST_F(ScavengeIndexTest, EachModeHasItsLimit) {
  Fill(50, 12);
  Free(50, 1);
  index_.NoteSearched(kForce, 20);
  EXPECT_EQ(index_.limit(kForce), 20u);
  EXPECT_EQ(index_.limit(kBackground), 51u);
  index_.NoteSearched(kBackground, 0);
  EXPECT_EQ(index_.limit(kForce), 20u);
  EXPECT_EQ(index_.limit(kBackground), 0u);
  Fill(30, 2);
  Free(30, 1);
  EXPECT_EQ(index_.limit(kForce), 31u);
  EXPECT_EQ(index_.limit(kBackground), 31u);
}

TEST_F(ScavengeIndexTest, FullChunksAreNotLookedAt) {
  Fill(3, 512);
  Free(3, 1);
  EXPECT_TRUE(index_.MayScavenge(3, kForce));
  Fill(3, 1);
  EXPECT_FALSE(index_.MayScavenge(3, kForce));
}

TEST_F(ScavengeIndexTest, DenseChunksAreForForceOnly) {
  for (const uint32_t in_use : {495u, 496u, 511u}) {
    Fill(in_use - 450, in_use + 1);
    // Full enough to be dense only in this generation, where it began empty.
    Free(in_use - 450, 1);
    EXPECT_TRUE(index_.MayScavenge(in_use - 450, kForce));
    EXPECT_EQ(index_.MayScavenge(in_use - 450, kBackground), in_use < 496);
  }
}

// What became sparse in a generation is open from the next on: the search comes
// back to it although it passed it before and nothing was freed since.
TEST_F(ScavengeIndexTest, ComesBackToWhatWasDense) {
  Fill(70, 512);
  Fill(40, 512);
  index_.NextGeneration();
  Free(70, 400);
  EXPECT_FALSE(index_.MayScavenge(70, kBackground));
  index_.NoteSearched(kBackground, 0);
  index_.NextGeneration();
  EXPECT_EQ(index_.limit(kBackground), 71u);
  EXPECT_TRUE(index_.MayScavenge(70, kBackground));
  index_.NoteSearched(kBackground, 0);
  index_.NextGeneration();
  EXPECT_EQ(index_.limit(kBackground), 0u);
  EXPECT_EQ(index_.generation(), 3u);
}

TEST_F(ScavengeIndexTest, ChunksWithoutAnythingAreNotLookedAtAgain) {
  Fill(8, 100);
  Free(8, 10);
  index_.NoteNothing(8);
  EXPECT_FALSE(index_.MayScavenge(8, kForce));
  EXPECT_FALSE(index_.MayScavenge(8, kBackground));
  // The pages that are freed are scavenged already; those beside are not.
  index_.NoteFree(8, 10, /*may_scavenge=*/false);
  EXPECT_FALSE(index_.MayScavenge(8, kForce));
  Free(8, 1);
  EXPECT_TRUE(index_.MayScavenge(8, kBackground));
}

// All of it, in a PageAlloc.

TEST(PageAllocBackgroundTest, LeavesDenseChunksAlone) {
  TestPages t({{0, {{0, 495}}}, {1, {{0, 496}}}}, ByteCount(4 << 10),
              ByteCount(0));
  EXPECT_EQ(t.pages().Scavenge(Pages(1000), kBackground), Pages(17));
  EXPECT_EQ(t.os().released(),
            (std::vector<AddrRange>{{t.At(0, 495), t.At(1)}}));
  EXPECT_EQ(t.pages().Scavenge(Pages(1000), kBackground), Pages(0));
  EXPECT_EQ(t.pages().Scavenge(Pages(1000), kForce), Pages(16));
}

TEST(PageAllocBackgroundTest, WaitsAGenerationForWhatWasDense) {
  TestPages t({{2, {{0, 500}}}}, ByteCount(4 << 10), ByteCount(0));
  t.pages().NextScavengeGeneration();
  t.Free(t.At(2, 0), 64);
  EXPECT_EQ(t.pages().Scavenge(Pages(1000), kBackground), Pages(0));
  t.pages().CheckInvariants();
  t.pages().NextScavengeGeneration();
  t.pages().CheckInvariants();
  EXPECT_EQ(t.pages().Scavenge(Pages(1000), kBackground), Pages(76));
}

// Pages above those that are freed, in the same chunk, were passed over.
TEST(PageAllocBackgroundTest, FindsPagesAboveThoseThatMadeTheChunkSparse) {
  TestPages t({{2, {{0, 500}}}}, ByteCount(4 << 10), ByteCount(0));
  EXPECT_EQ(t.pages().Scavenge(Pages(1), kBackground), Pages(0));
  t.Free(t.At(2, 0), 5);
  t.pages().CheckInvariants();
  EXPECT_EQ(t.pages().Scavenge(Pages(1), kBackground), Pages(1));
  EXPECT_EQ(t.os().released().back(), (AddrRange{t.At(2, 511), t.At(3)}));
}

// The flushed pages are scavenged themselves; others in the chunk are not.
TEST(PageAllocBackgroundTest, AFlushOfScavengedPagesMakesTheChunkSparse) {
  TestPages t({{0, {{20, 480}}, {{0, 20}}}}, ByteCount(4 << 10), ByteCount(0));
  PageCache cache = t.pages().AllocToCache();
  EXPECT_EQ(cache.free_bits(), cache.scavenged_bits());
  EXPECT_EQ(t.pages().Scavenge(Pages(1), kBackground), Pages(0));
  cache.Flush(t.pages());
  t.pages().CheckInvariants();
  EXPECT_EQ(t.pages().Scavenge(Pages(99), kBackground), Pages(12));
}

TEST(PageAllocBackgroundTest, LeavesDenseHugePagesAlone) {
  // The lower half has 248 or 247 of its 256 pages used, the upper one few.
  for (const uint32_t used : {247u, 248u}) {
    TestPages t({{0, {{0, used}, {300, 1}}}});
    const ByteCount lower = used == 247 ? Pages(9) : Pages(0);
    EXPECT_EQ(t.pages().Scavenge(Pages(1000), kBackground), Pages(255) + lower);
    EXPECT_EQ(t.pages().Scavenge(Pages(1000), kForce),
              Pages(256 - used) - lower);
  }
}

TEST(PageAllocBackgroundTest, TakesAFreeHugePageWhole) {
  TestPages t({{0, {}}, {1, {{0, 100}}}});
  EXPECT_EQ(t.pages().Scavenge(Pages(1), kBackground), Pages(256));
  EXPECT_EQ(t.Scavenged(1), (std::vector<ChunkRange>{{256, 256}}));
  EXPECT_EQ(t.pages().Scavenge(Pages(150), kBackground), Pages(150));
  EXPECT_EQ(t.pages().Scavenge(Pages(6), kBackground), Pages(6));
  EXPECT_EQ(t.pages().Scavenge(Pages(3), kBackground), Pages(256));
}

TEST(PageAllocBackgroundTest, ACandidateInFlightOverAGenerationIsInUse) {
  TestPages t({{0, {{0, 490}}}}, ByteCount(4 << 10), ByteCount(0));
  const AddrRange candidate =
      t.pages().TakeScavengeCandidate(Pages(20), kBackground);
  EXPECT_EQ(candidate.size(), Pages(20));
  t.pages().NextScavengeGeneration();
  t.pages().ReturnScavengeCandidate(candidate, /*released=*/true);
  t.pages().CheckInvariants();
  // 510 pages were in use when the generation began.
  EXPECT_EQ(t.pages().Scavenge(Pages(9), kBackground), Pages(0));
  t.pages().NextScavengeGeneration();
  EXPECT_EQ(t.pages().Scavenge(Pages(9), kBackground), Pages(2));
}

TEST(PageAllocBackgroundTest, GrowthAddsNothingToScavenge) {
  TestPages t({{0, {{0, 490}}}}, ByteCount(4 << 10), ByteCount(0));
  EXPECT_EQ(t.pages().Scavenge(Pages(2), kBackground), Pages(2));
  ASSERT_TRUE(t.Grow(7, 3));
  t.pages().CheckInvariants();
  EXPECT_EQ(t.pages().Scavenge(Pages(99), kBackground), Pages(20));
}

}  // namespace
}  // namespace tricolor::pagealloc
