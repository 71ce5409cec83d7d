// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/sweep/sweeper.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/asan.h"
#include "tricolor/mheap/size_classes.h"

namespace tricolor::sweep {
namespace {

using mcentral::TestHeap;
using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;
using mheap::SpanState;
using mheap::Special;
using mheap::SpecialKind;

// 512-byte slots, 16 to a span.
constexpr SpanClass kClass(mheap::SizeClassFor(512), SpanKind::kNoScan);
constexpr uint32_t kSlots = mheap::kClassSlots[kClass.size_class()];
constexpr SpanClass kLarge(0, SpanKind::kNoScan);
constexpr PageCount kNoPages(0);

// Writes down what it is told.
class FakeReceiver final : public mheap::SpecialReceiver {
 public:
  explicit FakeReceiver(mheap::MHeap& heap) : heap_(heap) {}
  void TakeDead(Special* list) override {
    while (list != nullptr) {
      Special* next = list->next;
      died.emplace_back(list->object_index, list->kind);
      heap_.FreeSpecial(list);
      list = next;
    }
  }
  std::vector<std::pair<uint32_t, SpecialKind>> died;

 private:
  mheap::MHeap& heap_;
};

class SweeperTest : public testing::Test {
 protected:
  SweeperTest() { t_.heap.set_sweeper(&sweeper_); }
  ~SweeperTest() override {
    sweeper_.CheckInvariants();
    t_.centrals.CheckInvariants();
    t_.heap.CheckInvariants();
  }

  uint32_t sg() const { return t_.heap.sweep_gen(); }
  // A listed span with `used` slots allocated, the first `live` of them marked.
  MSpan* Listed(uint32_t used, uint32_t live, SpanClass c = kClass) {
    MSpan* span = t_.Listed(c, used);
    for (uint32_t i = 0; i < live; ++i) t_.Mark(span, i);
    return span;
  }
  MSpan* ListedLarge(PageCount pages, bool live) {
    MSpan* span = t_.heap.AllocSpan(t_.processor, pages, kLarge);
    TestHeap::Take(span, 1);
    t_.centrals.of(kLarge).PushSwept(*span);
    if (live) t_.Mark(span, 0);
    return span;
  }
  std::optional<PageCount> SweepOne() {
    return sweeper_.SweepOne(t_.processor);
  }
  void SweepAll() { sweeper_.SweepAll(t_.processor); }

  TestHeap t_;
  FakeReceiver receiver_{t_.heap};
  Sweeper sweeper_{t_.heap, t_.centrals, receiver_};
};

// ---- The phase.

TEST_F(SweeperTest, IsDoneBeforeTheFirstPhase) {
  EXPECT_TRUE(sweeper_.Done());
  EXPECT_FALSE(sweeper_.Begin(t_.processor));
  EXPECT_EQ(SweepOne(), std::nullopt);
}

TEST_F(SweeperTest, APhaseOfAnEmptyHeapEndsAtTheFirstAttempt) {
  const uint32_t before = sg();
  sweeper_.StartPhase();
  EXPECT_EQ(sg(), before + 2);
  EXPECT_FALSE(sweeper_.Done());
  EXPECT_EQ(SweepOne(), std::nullopt);
  EXPECT_TRUE(sweeper_.Done());
}

TEST_F(SweeperTest, IsDoneOnlyWhenTheLastSweeperHasLeft) {
  sweeper_.StartPhase();
  ASSERT_TRUE(sweeper_.Begin(t_.processor));
  EXPECT_EQ(SweepOne(), std::nullopt);  // everything has been handed out
  EXPECT_FALSE(sweeper_.Done());
  EXPECT_FALSE(sweeper_.Begin(t_.processor));  // too late (#45315)
  sweeper_.End(t_.processor);
  EXPECT_TRUE(sweeper_.Done());
}

// Nobody is left behind in a shard that the one who finds nothing does not
// know.
TEST_F(SweeperTest, IsDoneOnlyWhenTheSweepersOfAllShardsHaveLeft) {
  mheap::ProcessorCache other;
  t_.heap.AttachProcessor(other);
  ASSERT_NE(other.shard(), t_.processor.shard());
  sweeper_.StartPhase();
  ASSERT_TRUE(sweeper_.Begin(other));
  EXPECT_EQ(SweepOne(), std::nullopt);
  EXPECT_FALSE(sweeper_.Done());
  EXPECT_FALSE(sweeper_.Begin(other));
  EXPECT_DEATH(sweeper_.StartPhase(), "INV-SWEEP-2: .* 1 sweepers at work");
  sweeper_.End(other);
  EXPECT_TRUE(sweeper_.Done());
  t_.heap.ReleaseProcessor(other);
}

TEST_F(SweeperTest, SweepsWhatIsListedForOtherShards) {
  mheap::ProcessorCache other;
  t_.heap.AttachProcessor(other);
  MSpan* span = t_.heap.AllocSpan(other, kClass);
  TestHeap::Take(span, 1);
  t_.Mark(span, 0);
  t_.centrals.of(kClass).PushSwept(*span);
  t_.heap.ReleaseProcessor(other);
  sweeper_.StartPhase();
  EXPECT_EQ(SweepOne(), kNoPages);
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(SweepOne(), std::nullopt);
}

TEST_F(SweeperTest, APhaseCannotStartWhileASweeperIsAtWork) {
  sweeper_.StartPhase();
  ASSERT_TRUE(sweeper_.Begin(t_.processor));
  EXPECT_EQ(SweepOne(), std::nullopt);
  EXPECT_DEATH(sweeper_.StartPhase(), "INV-SWEEP-2: .* 1 sweepers at work");
  sweeper_.End(t_.processor);
  sweeper_.StartPhase();
}

TEST_F(SweeperTest, APhaseCannotStartBeforeTheLastIsDrained) {
  sweeper_.StartPhase();
  EXPECT_DEATH(sweeper_.StartPhase(), "INV-SWEEP-2: .* not drained");
}

TEST_F(SweeperTest, EndWithoutBeginIsFatal) {
  sweeper_.StartPhase();
  EXPECT_DEATH(sweeper_.End(t_.processor),
               "End of a sweeper that has not begun");
}

TEST_F(SweeperTest, SweepsEachListedSpanOnce) {
  std::vector<MSpan*> live;
  for (const uint32_t used : {1u, 5u, kSlots}) live.push_back(Listed(used, 1));
  Listed(3, 0);
  sweeper_.StartPhase();
  PageCount freed;
  int swept = 0;
  while (const std::optional<PageCount> pages = SweepOne()) {
    freed += *pages;
    ++swept;
  }
  EXPECT_EQ(swept, 4);
  EXPECT_EQ(freed, PageCount(kClass.pages()));
  EXPECT_TRUE(sweeper_.Done());
  for (const MSpan* span : live) {
    EXPECT_EQ(span->sweep_gen(), sg());
    EXPECT_EQ(span->allocated(), 1u);
  }
  EXPECT_EQ(sweeper_.stats().spans_swept, 4u);
}

TEST_F(SweeperTest, ReachesEveryClassOfEveryKindFullAndPartial) {
  std::vector<MSpan*> spans;
  for (int i = mheap::kSpanKinds; i < mheap::kSpanClasses; ++i) {
    const auto c = SpanClass::FromIndex(static_cast<uint8_t>(i));
    if (c.slots() == 0) continue;  // too large for a pointer bitmap
    spans.push_back(Listed(c.slots(), 1, c));
    if (c.slots() > 1) spans.push_back(Listed(1, 1, c));
  }
  sweeper_.StartPhase();
  SweepAll();
  for (const MSpan* span : spans) EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(sweeper_.stats().spans_swept, spans.size());
}

TEST_F(SweeperTest, ManyPhasesReuseWhatDies) {
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 30; ++i) Listed(kSlots, i % 3 == 0 ? 1 : 0);
    sweeper_.StartPhase();
    SweepAll();
    t_.heap.ClearPageMarks();
  }
  // Ten spans of the last round live, and nothing of the others does.
  EXPECT_EQ(t_.heap.pages_in_use(), PageCount(10));
}

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
  const Sweeper::Stats stats = sweeper_.stats();
  EXPECT_EQ(stats.spans_swept, 2u);
  EXPECT_EQ(stats.objects_freed, 16u);
  EXPECT_EQ(stats.bytes_freed, 16u * 512);
  EXPECT_EQ(stats.pages_freed, 1u);
  const mheap::HeapStats heap_stats = t_.heap.ReadStats();
  EXPECT_EQ(heap_stats.small_freed[kClass.size_class()], 16u);
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
  EXPECT_EQ(sweeper_.stats().spans_swept, 1u);
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

// ---- Spans that are cached or otherwise not the sweeper's.

TEST_F(SweeperTest, LeavesAStaleCachedSpanToItsCache) {
  MSpan* span = t_.Cache(kClass);
  TestHeap::Take(span, 10);
  t_.Mark(span, 0);
  sweeper_.StartPhase();
  SweepAll();
  EXPECT_EQ(sweeper_.Reclaim(t_.processor, PageCount(100)), kNoPages);
  EXPECT_TRUE(sweeper_.Done());
  EXPECT_EQ(span->sweep_gen(), sg() + 1);
  EXPECT_EQ(span->allocated(), 10u);
  sweeper_.CheckInvariants();
  t_.Uncache(span);
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(span->allocated(), 1u);
}

TEST_F(SweeperTest, SkipsListedSpansThatWereSweptOrCachedOrReused) {
  Listed(1, 1)->sweep_gen();
  MSpan* cached = Listed(kSlots - 1, 1);
  MSpan* freed = Listed(1, 0);
  sweeper_.StartPhase();
  // Page reclaim frees one of them; it is still listed, and reused.
  EXPECT_EQ(sweeper_.Reclaim(t_.processor, PageCount(1)), PageCount(1));
  EXPECT_EQ(freed->state(), SpanState::kDead);
  MSpan* reused = t_.heap.AllocSpan(t_.processor, PageCount(3), kLarge);
  EXPECT_EQ(reused, freed) << "the structure should have been reused";
  TestHeap::Take(reused, 1);
  t_.centrals.of(kLarge).PushSwept(*reused);
  // Another is swept and cached, and its entry is forgotten.
  sweeper_.EnsureSwept(t_.processor, *cached);
  cached->set_sweep_gen(sg() + 3);
  SweepAll();
  EXPECT_EQ(cached->sweep_gen(), sg() + 3);
  EXPECT_EQ(reused->sweep_gen(), sg());
  EXPECT_EQ(sweeper_.stats().spans_swept, 3u);
  cached->set_sweep_gen(sg());
}

// ---- EnsureSwept.

TEST_F(SweeperTest, EnsureSweptSweepsAndLists) {
  MSpan* span = Listed(10, 1);
  sweeper_.StartPhase();
  sweeper_.EnsureSwept(t_.processor, *span);
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(span->allocated(), 1u);
  sweeper_.EnsureSwept(t_.processor, *span);
  EXPECT_EQ(sweeper_.stats().spans_swept, 1u);
  SweepAll();
}

TEST_F(SweeperTest, EnsureSweptHasNothingToDoForACachedSpan) {
  MSpan* span = t_.Cache(kClass);
  sweeper_.EnsureSwept(t_.processor, *span);
  EXPECT_EQ(span->sweep_gen(), sg() + 3);
}

TEST_F(SweeperTest, EnsureSweptWaitsForWhoSweeps) {
  MSpan* span = Listed(10, 1);
  sweeper_.StartPhase();
  ASSERT_TRUE(sweeper_.Begin(t_.processor));
  ASSERT_TRUE(span->TryAcquireForSweep(sg()));
  Atomic<bool> swept(false);
  std::thread waiter([&] {
    mheap::ProcessorCache processor;
    t_.heap.AttachProcessor(processor);
    sweeper_.EnsureSwept(processor, *span);
    EXPECT_TRUE(swept.LoadAcquire());
    t_.heap.ReleaseProcessor(processor);
  });
  for (int i = 0; i < 100; ++i) std::this_thread::yield();
  swept.StoreRelease(true);
  sweeper_.SweepAndKeep(t_.processor, *span);
  sweeper_.End(t_.processor);
  waiter.join();
  t_.centrals.of(kClass).PushSwept(*span);
  SweepAll();
}

TEST_F(SweeperTest, EnsureSweptOfASpanThatWasMissedIsFatal) {
  MSpan* span = Listed(10, 1);
  sweeper_.StartPhase();
  SweepAll();
  span->set_sweep_gen(sg() - 2);
  EXPECT_DEATH(sweeper_.EnsureSwept(t_.processor, *span),
               "after everything has been swept");
  EXPECT_DEATH(sweeper_.CheckInvariants(), "INV-SWEEP-3");
  span->set_sweep_gen(sg());
}

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
  const uint64_t swept = sweeper_.stats().spans_swept;
  // What the first call freed beyond its page has been used by who asks now.
  EXPECT_GE(sweeper_.Reclaim(t_.processor, PageCount(1)), PageCount(1));
  EXPECT_GT(sweeper_.stats().spans_swept, swept);
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
  EXPECT_EQ(sweeper_.stats().spans_swept, 0u);
  for (uint64_t paid = 100000; paid <= 1000000; paid += 100000) {
    sweeper_.PayForSpan(t_.processor, ByteCount(100000));
    EXPECT_EQ(sweeper_.stats().spans_swept, paid / 10000);
  }
  SweepAll();
}

TEST_F(SweeperTest, PaysNothingWhenEnoughHasBeenSweptOtherwise) {
  for (int i = 0; i < 100; ++i) Listed(1, 1);
  sweeper_.StartPhase();
  sweeper_.SetPace(ByteCount(1000000), t_.heap.pages_in_use());
  for (int i = 0; i < 60; ++i) EXPECT_EQ(SweepOne(), kNoPages);
  sweeper_.PayForSpan(t_.processor, ByteCount(600000));
  EXPECT_EQ(sweeper_.stats().spans_swept, 60u);
  sweeper_.PayForSpan(t_.processor, ByteCount(20000));
  EXPECT_EQ(sweeper_.stats().spans_swept, 62u);
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
  EXPECT_EQ(sweeper_.stats().spans_swept, 10u);
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
  EXPECT_EQ(sweeper_.stats().spans_swept, 0u);
  SweepAll();
}

// ---- Threads.

TEST_F(SweeperTest, ManySweepersSweepEachSpanOnce) {
  constexpr int kThreads = 4;
  constexpr int kSpans = 1500;
  for (int round = 0; round < 5; ++round) {
    std::vector<MSpan*> live;
    for (int i = 0; i < kSpans; ++i) {
      MSpan* span = Listed(kSlots, i % 2 == 0 ? 1 : 0);
      if (i % 2 == 0) live.push_back(span);
    }
    const uint64_t swept_before = sweeper_.stats().spans_swept;
    const uint64_t due = t_.heap.pages_in_use().value();
    sweeper_.StartPhase();
    sweeper_.SetPace(ByteCount(1 << 20), t_.heap.pages_in_use());
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([this, i, &live] {
        mheap::ProcessorCache processor;
        t_.heap.AttachProcessor(processor);
        if (i == 0) {
          sweeper_.Reclaim(processor, PageCount(kSpans / 2));
        } else if (i == 1) {
          // A generation that is published too early is a race here.
          for (MSpan* span : live) {
            sweeper_.EnsureSwept(processor, *span);
            EXPECT_EQ(span->allocated(), 1u);
          }
        } else if (i == 2) {
          sweeper_.PayForSpan(processor, ByteCount(1 << 19));
        }
        sweeper_.SweepAll(processor);
        t_.heap.ReleaseProcessor(processor);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(sweeper_.Done());
    EXPECT_EQ(sweeper_.stats().spans_swept - swept_before, due);
    t_.heap.ClearPageMarks();
    sweeper_.CheckInvariants();
  }
}

}  // namespace
}  // namespace tricolor::sweep
