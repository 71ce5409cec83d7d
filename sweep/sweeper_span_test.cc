// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the sweep of one span does, with its slots and their specials.

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/asan.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/sweep/sweeper.h"
#include "tricolor/sweep/sweeper_testing.h"

namespace tricolor::sweep {
namespace {

using mcentral::TestHeap;
using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;
using mheap::SpanState;
using mheap::SpecialKind;

// ---- One span.

TEST_F(SweeperTest, DeadSlotsBecomeFreeAndLiveOnesStay) {
  MSpan* span = Listed(kSlots, 0);
  for (const uint32_t live : {0u, 7u, kSlots - 1}) t_.Mark(span, live);
  sweeper_.StartPhase();
  EXPECT_EQ(SweepOne(), kNoPages);
  for (uint32_t i = 0; i < kSlots; ++i) {
    EXPECT_EQ(span->IsFree(i), i != 0 && i != 7 && i != kSlots - 1) << i;
    EXPECT_FALSE(span->IsMarked(i)) << i;
  }
  EXPECT_EQ(t_.Cache(kClass), span);
}

TEST_F(SweeperTest, OverwritesTheDeadIfItIsToldAndNothingElse) {
  sweeper_.set_clobber_dead(true);
  MSpan* span = Listed(10, 4);
  MSpan* large = ListedLarge(PageCount(5), /*live=*/false);
  const Addr large_base = large->base();
  const ByteCount large_bytes = large->bytes();
  const auto fill = [](Addr at, uint64_t words) {
    std::fill_n(at.as<uint64_t>(), words, 1);
  };
  for (uint32_t i = 0; i < 10; ++i) fill(span->SlotAddress(i), 512 / 8);
  fill(large_base, large_bytes.value() / 8);
  sweeper_.StartPhase();
  SweepAll();
  mheap::AsanUnpoison(span->base(), span->bytes());
  const auto words_are = [](Addr at, uint64_t words, uint64_t expected) {
    const auto* first = at.as<const uint64_t>();
    return std::all_of(first, first + words,
                       [expected](uint64_t w) { return w == expected; });
  };
  for (uint32_t i = 0; i < kSlots; ++i) {
    const uint64_t expected = i < 4    ? 1
                              : i < 10 ? Sweeper::kClobberPattern
                                       : 0;  // never handed out
    EXPECT_TRUE(words_are(span->SlotAddress(i), 512 / 8, expected)) << i;
  }
  EXPECT_TRUE(
      words_are(large_base, large_bytes.value() / 8, Sweeper::kClobberPattern));
}

TEST_F(SweeperTest, CountsWhatItFrees) {
  Listed(10, 4);
  Listed(10, 0);
  sweeper_.StartPhase();
  SweepAll();
  const mheap::HeapStats stats = t_.heap.ReadStats();
  EXPECT_EQ(stats.spans_swept, 2u);
  EXPECT_EQ(stats.free_span_calls, 1u);
  EXPECT_EQ(stats.small_freed[kClass.size_class()], 16u);
}

TEST_F(SweeperTest, SweepAndKeepListsNothingAndFreesNoPages) {
  MSpan* span = Listed(10, 0);
  sweeper_.StartPhase();
  ASSERT_TRUE(sweeper_.Begin(t_.processor));
  ASSERT_TRUE(span->TryAcquireForSweep(sg()));
  EXPECT_EQ(sweeper_.SweepAndKeep(t_.processor, *span), 10u);
  sweeper_.End(t_.processor);
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(span->allocated(), 0u);
  EXPECT_EQ(span->state(), SpanState::kInUse);
  SweepAll();
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, 1u);
}

TEST_F(SweeperTest, OnlyAnAcquiredSpanMayBeSwept) {
  MSpan* span = Listed(10, 1);
  sweeper_.StartPhase();
  EXPECT_DEATH(sweeper_.SweepAndKeep(t_.processor, *span), "sweeping span");
  SweepAll();
  EXPECT_DEATH(sweeper_.SweepAndKeep(t_.processor, *span), "sweeping span");
}

TEST_F(SweeperTest, AFreeSlotThatIsMarkedIsFatal) {
  MSpan* span = Listed(5, 2);
  t_.Mark(span, 9);
  sweeper_.StartPhase();
  EXPECT_DEATH(SweepOne(),
               "zombie: free slot 9 at .* is marked; it was never used .*; "
               "heap generation 2; slots from 1 .*: m---....\\[Z\\]......; its "
               "first words: 0 0 0 0; span: ");
  span->UnmarkRun({9, 1});
  SweepAll();
}

TEST_F(SweeperTest, ASlotThatDiedInAnEarlierCycleAndIsMarkedIsFatal) {
  MSpan* span = Listed(5, 2);  // 2, 3 and 4 die
  sweeper_.StartPhase();
  SweepAll();
  t_.Mark(span, 0);
  t_.Mark(span, 3);
  sweeper_.StartPhase();
  // Who has kept a pointer writes there.
  mheap::AsanUnpoison(span->SlotAddress(3), ByteCount(16));
  span->SlotAddress(3).as<uint64_t>()[1] = 0xbadc0de;
  EXPECT_DEATH(SweepOne(),
               "zombie: free slot 3 at .*; it was free before this cycle and "
               "not handed out since; .*: m-.\\[Z\\].*words: 0 badc0de 0 0;");
  span->UnmarkRun({3, 1});
  SweepAll();
}

TEST_F(SweeperTest, AZombieIsFoundInAnyWordOfTheBitmap) {
  constexpr SpanClass kSmall(mheap::SizeClassFor(8), SpanKind::kNoScan);
  MSpan* span = Listed(70, 70, kSmall);
  sweeper_.StartPhase();
  for (const uint32_t slot : {70u, 127u, 128u, span->slots() - 1}) {
    t_.Mark(span, slot);
    EXPECT_DEATH(SweepOne(), "zombie: free slot " + std::to_string(slot));
    span->UnmarkRun({slot, 1});
  }
  SweepAll();
}

TEST_F(SweeperTest, DeadLargeObjectsGoBackToThePageHeap) {
  ListedLarge(PageCount(100), false);
  sweeper_.StartPhase();
  EXPECT_EQ(SweepOne(), PageCount(100));
  EXPECT_EQ(t_.heap.pages_in_use(), kNoPages);
  const mheap::HeapStats stats = t_.heap.ReadStats();
  EXPECT_EQ(stats.small_freed[0], 1u);
  EXPECT_EQ(stats.large_freed_bytes, 100 * kPageSize);
  SweepAll();
}

TEST_F(SweeperTest, LiveLargeObjectsStayForTheNextPhase) {
  MSpan* span = ListedLarge(PageCount(100), true);
  sweeper_.StartPhase();
  SweepAll();
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(t_.heap.ReadStats().large_freed_bytes, 0u);
  sweeper_.StartPhase();
  EXPECT_EQ(SweepOne(), PageCount(100));
  SweepAll();
}

// ---- Specials.

TEST_F(SweeperTest, ReportsTheSpecialsOfTheDeadWeakHandlesFirst) {
  MSpan* span = Listed(10, 2);
  for (const uint32_t index : {1u, 5u, 3u}) {
    ASSERT_NE(t_.heap.AddCleanup(*span, index, nullptr), nullptr);
    ASSERT_NE(t_.heap.WeakSlotFor(*span, index), nullptr);
  }
  sweeper_.StartPhase();
  SweepAll();
  const std::vector<std::pair<uint32_t, SpecialKind>> expected = {
      {3, SpecialKind::kWeakHandle},
      {3, SpecialKind::kCleanup},
      {5, SpecialKind::kWeakHandle},
      {5, SpecialKind::kCleanup}};
  EXPECT_EQ(receiver_.died, expected);
}

TEST_F(SweeperTest, AnObjectWithAFinalizerLivesOnAndSoDoesItsSpan) {
  for (const bool reclaim : {false, true}) {
    MSpan* span = Listed(10, 0);
    ASSERT_NE(t_.heap.AddCleanup(*span, 4, nullptr), nullptr);
    ASSERT_NE(t_.heap.SetFinalizer(*span, 4, nullptr), nullptr);
    ASSERT_NE(t_.heap.WeakSlotFor(*span, 4), nullptr);
    sweeper_.StartPhase();
    if (reclaim) {
      EXPECT_EQ(sweeper_.Reclaim(t_.processor, PageCount(1)), kNoPages);
    } else {
      EXPECT_EQ(SweepOne(), kNoPages);
    }
    EXPECT_EQ(span->sweep_gen(), sg());
    EXPECT_EQ(span->allocated(), 1u);
    EXPECT_FALSE(span->IsFree(4));
    EXPECT_TRUE(span->IsFree(3));
    std::vector<std::pair<uint32_t, SpecialKind>> expected = {
        {4, SpecialKind::kWeakHandle}, {4, SpecialKind::kFinalizer}};
    EXPECT_EQ(receiver_.died, expected);
    SweepAll();
    receiver_.died.clear();
    // Now it dies.
    sweeper_.StartPhase();
    EXPECT_EQ(SweepOne(), PageCount(kClass.pages()));
    expected = {{4, SpecialKind::kCleanup}};
    EXPECT_EQ(receiver_.died, expected);
    SweepAll();
    receiver_.died.clear();
    t_.heap.ClearPageMarks();
  }
}

TEST_F(SweeperTest, ALargeObjectWithAFinalizerLivesOn) {
  MSpan* span = ListedLarge(PageCount(100), false);
  ASSERT_NE(t_.heap.SetFinalizer(*span, 0, nullptr), nullptr);
  sweeper_.StartPhase();
  SweepAll();
  EXPECT_EQ(t_.heap.pages_in_use(), PageCount(100));
  sweeper_.StartPhase();
  EXPECT_EQ(SweepOne(), PageCount(100));
  SweepAll();
}

TEST_F(SweeperTest, AFinalizerOfAFreeSlotIsAZombie) {
  MSpan* span = Listed(5, 2);
  ASSERT_NE(t_.heap.SetFinalizer(*span, 9, nullptr), nullptr);
  sweeper_.StartPhase();
  EXPECT_DEATH(SweepOne(), "zombie: free slot 9");
  void* record = nullptr;
  span->set_sweep_gen(sg());
  EXPECT_TRUE(t_.heap.ClearFinalizer(*span, 9, &record));
  span->set_sweep_gen(sg() - 2);
  SweepAll();
}

TEST_F(SweeperTest, ASpanWithoutLiveSlotsIsFreedAfterItsSpecialsWereReported) {
  MSpan* span = Listed(10, 0);
  ASSERT_NE(t_.heap.AddCleanup(*span, 4, nullptr), nullptr);
  sweeper_.StartPhase();
  EXPECT_EQ(SweepOne(), PageCount(kClass.pages()));
  EXPECT_EQ(receiver_.died.size(), 1u);
  SweepAll();
}

TEST_F(SweeperTest, ReportsTheSpecialsOfAStaleSpanWhenItsCacheSweepsIt) {
  MSpan* span = t_.Cache(kClass);
  TestHeap::Take(span, 10);
  ASSERT_NE(t_.heap.AddCleanup(*span, 4, nullptr), nullptr);
  sweeper_.StartPhase();
  SweepAll();
  EXPECT_TRUE(receiver_.died.empty());
  t_.Uncache(span);
  EXPECT_EQ(receiver_.died.size(), 1u);
}

}  // namespace
}  // namespace tricolor::sweep
