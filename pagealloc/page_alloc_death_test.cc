// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Misuse stops the program with one line.

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/pagealloc/page_alloc_fixture.h"
#include "tricolor/pagealloc/page_alloc_tester.h"
#include "tricolor/pagealloc/page_cache.h"
#include "tricolor/pagealloc/window_os.h"

namespace tricolor::pagealloc {
namespace {

class PageAllocDeathTest : public testing::Test {
 protected:
  PageAllocDeathTest() {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    EXPECT_TRUE(t_.Grow(4, 2));
    EXPECT_TRUE(t_.Alloc(600));
  }

  TestPages t_;
};

TEST_F(PageAllocDeathTest, FreeingTwice) {
  t_.Free(t_.At(4, 10), 5);
  EXPECT_DEATH(t_.Free(t_.At(4, 10), 5),
               "tricolor: fatal: pagealloc: Free\\(0x4000001014000, 5 pages\\):"
               " 0x4000001014000 is free already; expected allocated pages");
  EXPECT_DEATH(t_.Free(t_.At(4, 14), 1), "is free already");
  EXPECT_DEATH(t_.Free(t_.At(4, 0), 11), "0x4000001014000 is free already");
}

TEST_F(PageAllocDeathTest, FreeingAcrossChunksWithOneFreePage) {
  t_.Free(t_.At(5, 3), 1);
  EXPECT_DEATH(t_.Free(t_.At(4, 0), 600), "is free already");
}

TEST_F(PageAllocDeathTest, FreeingPagesThatWereNeverAllocated) {
  EXPECT_DEATH(t_.Free(t_.At(5, 88), 1), "is free already, and scavenged");
  EXPECT_DEATH(t_.Free(t_.At(5, 80), 20), "is free already, and scavenged");
}

TEST_F(PageAllocDeathTest, FreeingWhatWasNeverAdded) {
  EXPECT_DEATH(t_.Free(t_.At(3, 0), 1), "not within memory that was added");
  EXPECT_DEATH(t_.Free(t_.At(6, 0), 1), "not within memory that was added");
  EXPECT_DEATH(t_.Free(t_.At(3 * kRootChunks, 0), 1),
               "not within memory that was added");
}

TEST_F(PageAllocDeathTest, FreeingBeyondWhatWasAdded) {
  EXPECT_TRUE(t_.Alloc(424));
  EXPECT_DEATH(t_.Free(t_.At(5, 0), 513), "not within memory that was added");
  EXPECT_DEATH(t_.Free(t_.At(4, 1), ~uint64_t{0}), "pagealloc: Free");
  EXPECT_DEATH(t_.Free(t_.At(4, 1), uint64_t{1} << 51), "pagealloc: Free");
}

TEST_F(PageAllocDeathTest, FreeingAcrossAGap) {
  EXPECT_TRUE(t_.Alloc(424));
  EXPECT_TRUE(t_.Grow(7, 1));
  EXPECT_TRUE(t_.Alloc(512));
  EXPECT_DEATH(t_.Free(t_.At(5, 500), 600), "not within memory that was added");
}

// One line, with what was to be freed, where it is wrong, and how.
TEST_F(PageAllocDeathTest, EachBadFreeIsReportedInOneLine) {
  t_.Free(t_.At(5, 3), 1);
  const std::string begin = "^tricolor: fatal: pagealloc: Free\\(0x";
  const std::string end = "; expected allocated pages\n$";
  EXPECT_DEATH(t_.Free(t_.At(5, 3), 1),
               begin +
                   "4000001406000, 1 pages\\): 0x4000001406000 is free "
                   "already" +
                   end);
  EXPECT_DEATH(t_.Free(t_.At(4, 510), 10),
               begin +
                   "40000013fc000, 10 pages\\): 0x4000001406000 is free "
                   "already" +
                   end);
  EXPECT_DEATH(t_.Free(t_.At(5, 80), 9),
               begin +
                   "40000014a0000, 9 pages\\): 0x40000014b0000 is free "
                   "already, and scavenged" +
                   end);
  EXPECT_DEATH(t_.Free(t_.At(3, 511), 2),
               begin +
                   "4000000ffe000, 2 pages\\): 0x4000000ffe000 is not "
                   "within memory that was added" +
                   end);
  EXPECT_DEATH(t_.Free(t_.At(4) + ByteCount(8), 1),
               begin +
                   "4000001000008, 1 pages\\): 0x4000001000008 is not "
                   "aligned to a page" +
                   end);
  EXPECT_DEATH(t_.Free(Addr(0x2000), 7),
               begin + "2000, 7 pages\\): 0x2000 is not in the window" + end);
  EXPECT_DEATH(t_.Free(t_.At(4), 0),
               begin +
                   "4000001000000, 0 pages\\): 0x4000001000000 is an "
                   "empty range" +
                   end);
}

TEST_F(PageAllocDeathTest, FreeingACandidateInFlightTwice) {
  t_.Free(t_.At(4), 600);
  const AddrRange candidate = t_.pages().TakeScavengeCandidate(
      ByteCount(1 << 20), ScavengeMode::kBackground);
  t_.pages().ReturnScavengeCandidate(candidate, false);
  EXPECT_DEATH(t_.pages().ReturnScavengeCandidate(candidate, true),
               "is free already; expected allocated pages");
}

TEST_F(PageAllocDeathTest, FreeingForeignMemory) {
  EXPECT_DEATH(t_.Free(Addr(1 << 20), 1), "0x100000 is not in the window");
  EXPECT_DEATH(t_.Free(t_.os().window().limit, 1), "not in the window");
  EXPECT_DEATH(t_.Free(Addr(), 1), "not in the window");
}

TEST_F(PageAllocDeathTest, FreeingAMisalignedRange) {
  EXPECT_DEATH(t_.Free(t_.At(4, 1) + ByteCount(16), 1),
               "not aligned to a page");
}

TEST_F(PageAllocDeathTest, FreeingNothing) {
  EXPECT_DEATH(t_.Free(t_.At(4, 1), 0), "an empty range");
}

TEST_F(PageAllocDeathTest, AllocatingNothing) {
  EXPECT_DEATH(t_.Alloc(0), "Alloc of 0 pages");
  EXPECT_DEATH(t_.pages().AllocAligned(PageCount(0), PageCount(1)),
               "AllocAligned\\(0, 1\\)");
}

TEST_F(PageAllocDeathTest, AligningToWhatIsNoPowerOfTwo) {
  EXPECT_DEATH(t_.pages().AllocAligned(PageCount(1), PageCount(3)),
               "AllocAligned\\(1, 3\\)");
  EXPECT_DEATH(t_.pages().AllocAligned(PageCount(1), PageCount(0)),
               "AllocAligned\\(1, 0\\)");
}

TEST_F(PageAllocDeathTest, GrowingBadRanges) {
  PageAlloc& p = t_.pages();
  EXPECT_DEATH((void)p.Grow(t_.At(5), kChunkBytes), "overlaps");
  EXPECT_DEATH((void)p.Grow(t_.At(3), kChunkBytes * 2), "overlaps");
  EXPECT_DEATH((void)p.Grow(t_.At(8), ByteCount(0)), "whole chunks");
  EXPECT_DEATH((void)p.Grow(t_.At(8, 1), kChunkBytes), "whole chunks");
  EXPECT_DEATH((void)p.Grow(t_.At(8), ByteCount(kPageSize)), "whole chunks");
  EXPECT_DEATH((void)p.Grow(t_.os().window().limit, kChunkBytes),
               "whole chunks of the window");
  EXPECT_DEATH((void)p.Grow(t_.os().window().base - kChunkBytes, kChunkBytes),
               "whole chunks of the window");
  EXPECT_DEATH((void)p.Grow(t_.At(8), kChunkBytes * (uint64_t{1} << 41)),
               "whole chunks of the window");
}

TEST_F(PageAllocDeathTest, BadWindows) {
  const Addr base = t_.At(0);
  WindowOs& os = t_.os();
  EXPECT_DEATH(PageAlloc(os, {base + ByteCount(kPageSize), t_.At(4)}),
               "window");
  EXPECT_DEATH(PageAlloc(os, {base, t_.At(4, 5)}), "window");
  EXPECT_DEATH(PageAlloc(os, {base, base}), "window");
  EXPECT_DEATH(PageAlloc(os, {Addr(), Addr() + kChunkBytes}), "window");
}

TEST_F(PageAllocDeathTest, FlushingPagesThatAreFree) {
  PageCache cache(t_.At(4, 64), 0xff, 0);
  t_.Free(t_.At(4, 65), 1);
  EXPECT_DEATH(cache.Flush(t_.pages()), "of which 0x2 are free");
}

TEST_F(PageAllocDeathTest, FlushingTwice) {
  PageCache cache = t_.pages().AllocToCache();
  PageCache copy = cache;
  cache.Flush(t_.pages());
  EXPECT_DEATH(copy.Flush(t_.pages()), "are free, expected allocated");
}

TEST_F(PageAllocDeathTest, FlushingToAnotherAllocator) {
  TestPages other;
  ASSERT_TRUE(other.Grow(9, 1));
  PageCache cache = t_.pages().AllocToCache();
  EXPECT_DEATH(cache.Flush(other.pages()), "does not own it");
}

TEST_F(PageAllocDeathTest, CorruptCaches) {
  PageCache excess(t_.At(4, 64), 1, 2);
  EXPECT_DEATH(excess.Flush(t_.pages()), "INV-PAGEALLOC-3");
  PageCache misaligned(t_.At(4, 63), 1, 0);
  EXPECT_DEATH(misaligned.Flush(t_.pages()), "INV-PAGEALLOC-3");
  PageCache without_base(Addr(), 1, 0);
  EXPECT_DEATH(without_base.Flush(t_.pages()), "INV-PAGEALLOC-3");
}

TEST_F(PageAllocDeathTest, CacheAllocationsOfNoOrTooManyPages) {
  PageCache cache = t_.pages().AllocToCache();
  EXPECT_DEATH(cache.Alloc(PageCount(0)), "expected 1 to 64");
  EXPECT_DEATH(cache.Alloc(PageCount(65)), "expected 1 to 64");
}

TEST_F(PageAllocDeathTest, ReturningACandidateTwice) {
  t_.Free(t_.At(4), 600);
  const AddrRange candidate =
      t_.pages().TakeScavengeCandidate(ByteCount(1 << 20));
  t_.pages().ReturnScavengeCandidate(candidate, true);
  EXPECT_DEATH(t_.pages().ReturnScavengeCandidate(candidate, true),
               "is free already, and scavenged");
}

TEST_F(PageAllocDeathTest, TestHooksOutsideOfAddedMemory) {
  EXPECT_DEATH(t_.pages().SetChunkForTest(t_.At(3), {}, {}),
               "expected an added chunk");
  EXPECT_DEATH(t_.pages().ChunkForTest(t_.At(3)), "was never added");
}

// What fuzzing prints when it fails.
TEST(PageAllocTesterDeathTest, PrintsTheOperationsAsATest) {
  const auto fail = [] {
    PageAllocTester t(64);
    t.Record();
    t.Grow(3, 2);
    t.AllocAligned(5, 8);
    t.RefillCache(1);
    t.ReturnCandidate(false);
    t.pages().Free(t.os().window().base + kChunkBytes * 3, PageCount(1));
    t.Check();
  };
  EXPECT_DEATH(fail(),
               "961 free pages.*the model has 960.*\n.*for a test:\n"
               "  PageAllocTester t\\(64, ByteCount\\(4096\\), "
               "ByteCount\\(2097152\\)\\);\n"
               "  t.Grow\\(3, 2\\);\n"
               "  t.AllocAligned\\(5, 8\\);\n"
               "  t.FlushCache\\(1\\);\n"
               "  t.RefillCache\\(1\\);\n"
               "  t.ReturnCandidate\\(false\\);\n");
}

}  // namespace
}  // namespace tricolor::pagealloc
