// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Sweeping for pages, and to be done in time.

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/sweep/sweeper.h"
#include "tricolor/sweep/sweeper_testing.h"

namespace tricolor::sweep {
namespace {

using mheap::MSpan;
using mheap::SpanState;

// ---- Page reclaim.

TEST_F(SweeperTest, ReclaimFreesAsMuchAsIsWanted) {
  for (int i = 0; i < 2000; ++i) Listed(1, 0);
  const PageCount before = t_.heap.pages_in_use();
  sweeper_.StartPhase();
  const PageCount reclaimed = sweeper_.Reclaim(t_.processor, PageCount(600));
  const PageCount freed = before - t_.heap.pages_in_use();
  EXPECT_EQ(reclaimed, freed);
  EXPECT_GE(freed, PageCount(600));
  EXPECT_LT(freed, PageCount(600 + 8 * 64));
  EXPECT_EQ(sweeper_.Reclaim(t_.processor, PageCount(10000)),
            PageCount(2000) - freed);
  SweepAll();
}

TEST_F(SweeperTest, ReclaimDoesNotTouchSpansWithAMarkedObject) {
  MSpan* live = Listed(10, 1);
  Listed(10, 0);
  sweeper_.StartPhase();
  EXPECT_EQ(sweeper_.Reclaim(t_.processor, PageCount(5)), PageCount(1));
  EXPECT_EQ(live->sweep_gen(), sg() - 2);
  SweepAll();
}

TEST_F(SweeperTest, ReclaimKeepsALiveSpanWhosePageMarkIsMissing) {
  MSpan* span = Listed(10, 0);
  span->SetMarked(3);  // but not the page
  sweeper_.StartPhase();
  EXPECT_EQ(sweeper_.Reclaim(t_.processor, PageCount(5)), kNoPages);
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(span->allocated(), 1u);
  SweepAll();
}

TEST_F(SweeperTest, ReclaimSweepsAgainWhateverWasFreedBefore) {
  // In two claims' worth of pages: a word is 64 pages.
  const auto claim = static_cast<int>(Sweeper::kClaimedWords) * 64;
  for (int i = 0; i < claim + 10; ++i) Listed(1, 0);
  sweeper_.StartPhase();
  EXPECT_GE(sweeper_.Reclaim(t_.processor, PageCount(1)), PageCount(1));
  const uint64_t swept = t_.heap.ReadStats().spans_swept;
  // What the first call freed beyond its page has been used by who asks now.
  EXPECT_GE(sweeper_.Reclaim(t_.processor, PageCount(1)), PageCount(1));
  EXPECT_GT(t_.heap.ReadStats().spans_swept, swept);
  SweepAll();
}

TEST_F(SweeperTest, ReclaimFindsNothingWhenThePhaseIsDone) {
  Listed(1, 1);
  sweeper_.StartPhase();
  SweepAll();
  EXPECT_EQ(sweeper_.Reclaim(t_.processor, PageCount(1)), kNoPages);
}

TEST_F(SweeperTest, ASpanThatStartsInTheLastPageOfAWordIsReclaimed) {
  std::vector<MSpan*> spans;
  for (int i = 0; i < 130; ++i) spans.push_back(Listed(1, 0));
  sweeper_.StartPhase();
  EXPECT_EQ(sweeper_.Reclaim(t_.processor, PageCount(130)), PageCount(130));
  SweepAll();
}

// ---- Proportional sweeping.

TEST_F(SweeperTest, SweepsInProportionToWhatIsAllocated) {
  for (int i = 0; i < 100; ++i) Listed(1, 1);
  sweeper_.StartPhase();
  sweeper_.SetPace(ByteCount(1000000), t_.heap.pages_in_use());
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, 0u);
  for (uint64_t paid = 100000; paid <= 1000000; paid += 100000) {
    sweeper_.PayForSpan(t_.processor, ByteCount(100000));
    EXPECT_EQ(t_.heap.ReadStats().spans_swept, paid / 10000);
  }
  SweepAll();
}

TEST_F(SweeperTest, PaysNothingWhenEnoughHasBeenSweptOtherwise) {
  for (int i = 0; i < 100; ++i) Listed(1, 1);
  sweeper_.StartPhase();
  sweeper_.SetPace(ByteCount(1000000), t_.heap.pages_in_use());
  for (int i = 0; i < 60; ++i) EXPECT_EQ(SweepOne(), kNoPages);
  sweeper_.PayForSpan(t_.processor, ByteCount(600000));
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, 60u);
  sweeper_.PayForSpan(t_.processor, ByteCount(20000));
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, 62u);
  SweepAll();
}

TEST_F(SweeperTest, WhateverTheDistanceAndTheChargeThereIsAnEnd) {
  const uint64_t extremes[] = {
      0, 1, kPageSize, uint64_t{1} << 40, ~uint64_t{0} - 1, ~uint64_t{0}};
  for (const uint64_t distance : extremes) {
    for (const uint64_t charge : extremes) {
      for (int i = 0; i < 20; ++i) Listed(1, 1);
      sweeper_.StartPhase();
      sweeper_.SetPace(ByteCount(distance), t_.heap.pages_in_use());
      for (int i = 0; i < 5; ++i) {
        sweeper_.PayForSpan(t_.processor, ByteCount(charge));
      }
      const bool all_due = charge >= distance && charge >= kPageSize;
      if (all_due) {
        EXPECT_EQ(SweepOne(), std::nullopt);
      }
      SweepAll();
      t_.heap.ClearPageMarks();
    }
  }
}

TEST_F(SweeperTest, AFullSpanOfChargesSweepsEverythingUnlessItIsCached) {
  for (int i = 0; i < 10; ++i) Listed(1, 1);
  MSpan* cached = t_.heap.AllocSpan(t_.processor, kClass);
  cached->set_sweep_gen(sg() + 3);
  sweeper_.StartPhase();
  sweeper_.SetPace(ByteCount(1 << 20), t_.heap.pages_in_use());
  sweeper_.PayForSpan(t_.processor, ByteCount(1 << 20));
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, 10u);
  EXPECT_TRUE(sweeper_.Done());
  sweeper_.PayForSpan(t_.processor, ByteCount(1 << 20));  // off by now
  t_.Uncache(cached);
}

// A thread that allocates will want them in a moment.
TEST_F(SweeperTest, WhatIsSweptForAllocationStaysListedThoughItIsEmpty) {
  MSpan* used = Listed(1, 0);
  MSpan* unused = Listed(0, 0);
  sweeper_.StartPhase();
  sweeper_.SetPace(ByteCount(1 << 20), t_.heap.pages_in_use());
  sweeper_.PayForSpan(t_.processor, ByteCount(1 << 20));
  SweepAll();
  EXPECT_EQ(used->state(), SpanState::kInUse);
  EXPECT_EQ(unused->state(), SpanState::kDead);
  EXPECT_EQ(t_.centrals.of(kClass).CacheSpan(t_.processor), used);
  t_.heap.FreeSpan(t_.processor, used);
}

TEST_F(SweeperTest, AnEmptySpanThatNobodyHasWantedSinceIsFreed) {
  MSpan* span = Listed(1, 0);
  for (const SpanState expected : {SpanState::kInUse, SpanState::kDead}) {
    sweeper_.StartPhase();
    sweeper_.SetPace(ByteCount(1 << 20), PageCount(1));
    sweeper_.PayForSpan(t_.processor, ByteCount(1 << 20));
    SweepAll();
    EXPECT_EQ(span->state(), expected);
    ASSERT_TRUE(t_.heap.mark_bit_arenas().Rotate());
  }
}

TEST_F(SweeperTest, OnlySomeEmptySpansStayAndThoseThatAreTakenMakeRoom) {
  constexpr uint64_t kMost = mcentral::MCentrals::kMostKept;
  for (uint64_t i = 0; i < 2 * kMost; ++i) Listed(1, 0);
  sweeper_.StartPhase();
  sweeper_.SetPace(ByteCount(1 << 20), t_.heap.pages_in_use());
  sweeper_.PayForSpan(t_.processor, ByteCount(1 << 19));
  EXPECT_EQ(t_.heap.pages_in_use(), PageCount(2 * kMost));
  std::vector<MSpan*> taken;
  for (int i = 0; i < 10; ++i) {
    // The first unswept span has room.
    taken.push_back(t_.centrals.of(kClass).CacheSpan(t_.processor));
  }
  sweeper_.PayForSpan(t_.processor, ByteCount(1 << 19));
  SweepAll();
  EXPECT_EQ(t_.heap.pages_in_use(), PageCount(kMost + 10));
  for (MSpan* span : taken) t_.heap.FreeSpan(t_.processor, span);
}

TEST_F(SweeperTest, WhoWantsPagesGetsThoseOfEmptySpans) {
  for (int i = 0; i < 10; ++i) Listed(1, 0);
  sweeper_.StartPhase();
  EXPECT_GE(sweeper_.Reclaim(t_.processor, PageCount(10)), PageCount(10));
  EXPECT_EQ(t_.heap.pages_in_use(), kNoPages);
  SweepAll();
}

TEST_F(SweeperTest, NoPaceNoDebt) {
  Listed(1, 1);
  sweeper_.StartPhase();
  sweeper_.PayForSpan(t_.processor, ByteCount(1 << 30));
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, 0u);
  SweepAll();
}

}  // namespace
}  // namespace tricolor::sweep
