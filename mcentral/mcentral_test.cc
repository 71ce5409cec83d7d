// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcentral/mcentral.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/shards.h"
#include "tricolor/mheap/size_classes.h"

namespace tricolor::mcentral {

namespace {

using mheap::kShards;
using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;
using mheap::SpanState;

// 512-byte slots, 16 to a span.
constexpr SpanClass kClass(mheap::SizeClassFor(512), SpanKind::kNoScan);
constexpr SpanClass kOtherClass(mheap::SizeClassFor(64), SpanKind::kNoScan);
constexpr uint32_t kSlots = mheap::kClassSlots[kClass.size_class()];

class MCentralTest : public testing::Test {
 protected:
  MCentralTest() { t_.heap.set_sweeper(&sweeper_); }
  ~MCentralTest() override { EXPECT_EQ(sweeper_.depth, 0); }

  void StartSweepPhase() { t_.heap.AdvanceSweepGen(); }
  uint32_t sg() const { return t_.heap.sweep_gen(); }
  MCentral& central() { return t_.centrals.of(kClass); }

  TestHeap t_;
  FakeSweeper sweeper_{t_.heap};
  MCentralTestPeer sets_{t_.centrals, kClass, t_.processor.shard()};
};

TEST_F(MCentralTest, GrowsTheHeapWhenNothingIsListed) {
  MSpan* span = central().CacheSpan(t_.processor);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(span->span_class(), kClass);
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(span->allocated(), 0u);
  EXPECT_EQ(t_.heap.pages_in_use(), span->pages());
}

TEST_F(MCentralTest, PaysForTheSpanFirst) {
  ASSERT_NE(central().CacheSpan(t_.processor), nullptr);
  EXPECT_EQ(sweeper_.paid, BytesOf(PageCount(kClass.pages())));
}

TEST_F(MCentralTest, HandsOutWhatHasRoomAndNotWhatIsFull) {
  MSpan* full = t_.Listed(kClass, kSlots);
  MSpan* partial = t_.Listed(kClass, kSlots - 1);
  EXPECT_EQ(sets_.full_swept().Size(), 1u);
  EXPECT_EQ(sets_.partial_swept().Size(), 1u);
  EXPECT_EQ(t_.Cache(kClass), partial);
  EXPECT_EQ(partial->sweep_gen(), sg() + 3);
  EXPECT_NE(t_.Cache(kClass), full);
  EXPECT_EQ(sets_.full_swept().Size(), 1u);
}

TEST_F(MCentralTest, TakesBackACachedSpanAsSwept) {
  MSpan* span = t_.Cache(kClass);
  t_.Uncache(span);
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(span->state(), SpanState::kInUse);
  EXPECT_TRUE(sweeper_.swept.empty());
  central().CheckInvariants();
}

TEST_F(MCentralTest, SweptSetsBecomeUnsweptWhenTheGenerationAdvances) {
  t_.Listed(kClass, 1);
  t_.Listed(kClass, kSlots);
  StartSweepPhase();
  EXPECT_TRUE(sets_.partial_swept().Empty());
  EXPECT_TRUE(sets_.full_swept().Empty());
  EXPECT_EQ(sets_.partial_unswept().Size(), 1u);
  EXPECT_EQ(sets_.full_unswept().Size(), 1u);
}

TEST_F(MCentralTest, SweepsAStaleSpanOnItsWayBack) {
  MSpan* span = t_.Cache(kClass);
  TestHeap::Take(span, 5);
  t_.Mark(span, 3);
  StartSweepPhase();
  EXPECT_EQ(span->sweep_gen(), sg() + 1);
  t_.Uncache(span);
  EXPECT_EQ(sweeper_.swept, std::vector<MSpan*>{span});
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(span->allocated(), 1u);
  EXPECT_EQ(sets_.partial_swept().Pop(), span);
}

TEST_F(MCentralTest, SweepsAStaleSpanEvenWhenNobodyElseMaySweep) {
  MSpan* span = t_.Cache(kClass);
  TestHeap::Take(span, 1);
  t_.Mark(span, 0);
  StartSweepPhase();
  sweeper_.open = false;
  t_.Uncache(span);
  EXPECT_EQ(span->sweep_gen(), sg());
}

TEST_F(MCentralTest, GivesADeadStaleSpanBackToThePageHeap) {
  MSpan* span = t_.Cache(kClass);
  TestHeap::Take(span, 5);
  StartSweepPhase();
  t_.Uncache(span);
  EXPECT_EQ(span->state(), SpanState::kDead);
  EXPECT_EQ(t_.heap.pages_in_use(), PageCount(0));
  EXPECT_TRUE(sets_.partial_swept().Empty());
}

TEST_F(MCentralTest, RefusesToTakeBackWhatWasNotCached) {
  for (const uint32_t wrong : {0u, 1u, 2u, 4u}) {  // sg-2, sg-1, sg, sg+2
    MSpan* span = t_.Cache(kClass);
    span->set_sweep_gen(sg() - 2 + wrong);
    EXPECT_DEATH(central().UncacheSpan(t_.processor, *span),
                 "uncaching span .* of generation");
  }
}

TEST_F(MCentralTest, RefusesToListASpanThatIsNotSwept) {
  MSpan* span = t_.Cache(kClass);  // sg+3
  EXPECT_DEATH(central().PushSwept(*span), "listing span");
}

TEST_F(MCentralTest, RefusesToListASpanOfAnotherClass) {
  MSpan* span = t_.heap.AllocSpan(t_.processor, kOtherClass);
  EXPECT_DEATH(central().PushSwept(*span), "listing span");
}

TEST_F(MCentralTest, SweepsAPartialSpanOnDemand) {
  MSpan* span = t_.Listed(kClass, kSlots - 1);
  t_.Mark(span, 0);
  StartSweepPhase();
  EXPECT_EQ(t_.Cache(kClass), span);
  EXPECT_EQ(span->allocated(), 1u);
  EXPECT_EQ(sweeper_.swept, std::vector<MSpan*>{span});
}

TEST_F(MCentralTest, SweepsFullSpansUntilOneHasRoom) {
  MSpan* still_full = t_.Listed(kClass, kSlots);
  MSpan* with_room = t_.Listed(kClass, kSlots);
  MSpan* not_reached = t_.Listed(kClass, kSlots);
  for (uint32_t i = 0; i < kSlots; ++i) {
    t_.Mark(still_full, i);
    if (i % 2 == 0) t_.Mark(with_room, i);
  }
  StartSweepPhase();
  EXPECT_EQ(t_.Cache(kClass), with_room);
  EXPECT_EQ(with_room->allocated(), kSlots / 2);
  EXPECT_EQ(sets_.full_swept().Size(), 1u);
  EXPECT_EQ(still_full->sweep_gen(), sg());
  EXPECT_EQ(not_reached->sweep_gen(), sg() - 2);
  central().CheckInvariants();
}

TEST_F(MCentralTest, PrefersPartialToFullAmongTheUnswept) {
  t_.Listed(kClass, kSlots);
  MSpan* partial = t_.Listed(kClass, 1);
  StartSweepPhase();
  EXPECT_EQ(t_.Cache(kClass), partial);
}

TEST_F(MCentralTest, GivesUpSweepingAfterItsBudgetAndGrows) {
  std::vector<MSpan*> full;
  for (int i = 0; i < MCentral::kSpanBudget + 50; ++i) {
    full.push_back(t_.Listed(kClass, kSlots));
    for (uint32_t slot = 0; slot < kSlots; ++slot) t_.Mark(full.back(), slot);
  }
  StartSweepPhase();
  MSpan* span = t_.Cache(kClass);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(span->allocated(), 0u);
  EXPECT_EQ(sweeper_.swept.size(), size_t{MCentral::kSpanBudget});
  EXPECT_EQ(sets_.full_unswept().Size(), 50u);
}

TEST_F(MCentralTest, SpendsItsBudgetOnStaleEntriesToo) {
  for (int i = 0; i < MCentral::kSpanBudget; ++i) t_.Listed(kClass, 1);
  MSpan* last = t_.Listed(kClass, 1);
  StartSweepPhase();
  t_.heap.ForEachHeapSpan([&](MSpan& span) {
    if (&span != last) span.set_sweep_gen(sg());
  });
  EXPECT_NE(t_.Cache(kClass), last);
  EXPECT_EQ(t_.Cache(kClass), last);
}

TEST_F(MCentralTest, SweepsOnBeyondItsBudgetWhenTheHeapIsExhausted) {
  MSpan* last = nullptr;
  for (int i = 0; i < MCentral::kSpanBudget + 10; ++i) {
    last = t_.Listed(kClass, kSlots);
    for (uint32_t slot = 0; slot < kSlots; ++slot) t_.Mark(last, slot);
  }
  last->UnmarkRun({7, 1});
  while (t_.heap.AllocSpan(t_.processor, kOtherClass) != nullptr) {
  }
  StartSweepPhase();
  EXPECT_EQ(t_.Cache(kClass), last);
  EXPECT_EQ(t_.Cache(kClass), nullptr);
}

TEST_F(MCentralTest, IsNullWhenTheHeapIsExhausted) {
  while (t_.heap.AllocSpan(t_.processor, kOtherClass) != nullptr) {
  }
  EXPECT_EQ(central().CacheSpan(t_.processor), nullptr);
}

TEST_F(MCentralTest, DoesNotSweepWhenThePhaseIsOver) {
  MSpan* listed = t_.Listed(kClass, 1);
  StartSweepPhase();
  sweeper_.open = false;
  EXPECT_NE(t_.Cache(kClass), listed);
  EXPECT_EQ(listed->sweep_gen(), sg() - 2);
}

// The entries that follow are what an unswept set may legitimately hold
// besides unswept spans; Go stopped at the second (#27997).
TEST_F(MCentralTest, SkipsAListedSpanThatHasBeenSwept) {
  MSpan* listed = t_.Listed(kClass, 1);
  StartSweepPhase();
  listed->set_sweep_gen(sg());
  EXPECT_NE(t_.Cache(kClass), listed);
  EXPECT_TRUE(sweeper_.swept.empty());
  EXPECT_TRUE(sets_.partial_unswept().Empty());
}

TEST_F(MCentralTest, SkipsAListedSpanThatHasBeenSweptAndCached) {
  MSpan* listed = t_.Listed(kClass, 1);
  StartSweepPhase();
  listed->set_sweep_gen(sg() + 3);
  EXPECT_NE(t_.Cache(kClass), listed);
  EXPECT_EQ(listed->sweep_gen(), sg() + 3);
  EXPECT_TRUE(sweeper_.swept.empty());
}

TEST_F(MCentralTest, SkipsAListedSpanThatIsBeingSwept) {
  MSpan* listed = t_.Listed(kClass, 1);
  StartSweepPhase();
  ASSERT_TRUE(listed->TryAcquireForSweep(sg()));
  EXPECT_NE(t_.Cache(kClass), listed);
  EXPECT_EQ(listed->sweep_gen(), sg() - 1);
}

TEST_F(MCentralTest, SkipsAListedSpanThatHasBeenFreedAndReused) {
  MSpan* listed = t_.Listed(kClass, 1);
  StartSweepPhase();
  listed->set_sweep_gen(sg());
  t_.heap.FreeSpan(t_.processor, listed);
  MSpan* reused = t_.heap.AllocSpan(t_.processor, kOtherClass);
  ASSERT_EQ(reused, listed) << "the structure should have been reused";
  EXPECT_NE(t_.Cache(kClass), listed);
  EXPECT_EQ(reused->span_class(), kOtherClass);
  EXPECT_EQ(reused->sweep_gen(), sg());
}

TEST_F(MCentralTest, UnsweptSetsMustBeEmptyWhenThePhaseEnds) {
  t_.Listed(kClass, 1);
  t_.centrals.ResetUnswept();  // the swept sets do not matter
  StartSweepPhase();
  EXPECT_DEATH(t_.centrals.ResetUnswept(), "INV-MCENTRAL-2");
  EXPECT_NE(t_.PopUnswept(), nullptr);
  t_.centrals.ResetUnswept();
}

TEST_F(MCentralTest, PopsWhatTheSweeperAsksFor) {
  MSpan* partial = t_.Listed(kClass, 1);
  MSpan* full = t_.Listed(kClass, kSlots);
  MSpan* other = t_.Listed(kOtherClass, 1);
  uint32_t place = 0;
  const uint32_t shard = t_.processor.shard();
  EXPECT_EQ(t_.centrals.PopUnswept(shard, &place), nullptr);
  StartSweepPhase();
  place = 0;
  for (MSpan* expected : {full, partial, other}) {
    EXPECT_EQ(t_.centrals.PopUnswept(shard, &place), expected);
  }
  EXPECT_EQ(t_.centrals.PopUnswept(shard, &place), nullptr);
  const uint32_t end = place;
  EXPECT_EQ(t_.centrals.PopUnswept(shard, &place), nullptr);
  EXPECT_EQ(place, end);
}

// ---- Several shards.

class MCentralShardsTest : public MCentralTest {
 protected:
  MCentralShardsTest() { t_.heap.AttachProcessor(other_); }
  ~MCentralShardsTest() override { t_.heap.ReleaseProcessor(other_); }

  // As TestHeap::Listed, by the other processor.
  MSpan* ListedByOther(uint32_t used) {
    MSpan* span = t_.heap.AllocSpan(other_, kClass);
    span->set_sweep_gen(sg() + 3);
    TestHeap::Take(span, used);
    central().UncacheSpan(other_, *span);
    return span;
  }

  mheap::ProcessorCache other_;
};

TEST_F(MCentralShardsTest, EachProcessorHasListsOfItsOwn) {
  ASSERT_NE(other_.shard(), t_.processor.shard());
  MSpan* own = t_.Listed(kClass, 1);
  MSpan* others = ListedByOther(1);
  EXPECT_EQ(own->shard(), t_.processor.shard());
  EXPECT_EQ(others->shard(), other_.shard());
  EXPECT_EQ(sets_.partial_swept().Size(), 1u);
  EXPECT_EQ(central().CacheSpan(other_), others);
  EXPECT_EQ(central().CacheSpan(t_.processor), own);
}

TEST_F(MCentralShardsTest, UsesTheOthersSpansBeforeTheHeapGrows) {
  MSpan* others = ListedByOther(1);
  EXPECT_EQ(t_.Cache(kClass), others);
  EXPECT_EQ(others->shard(), t_.processor.shard());
  t_.Uncache(others);
  EXPECT_EQ(sets_.partial_swept().Size(), 1u);
}

TEST_F(MCentralShardsTest, SweepsItsOwnSpansFirstAndThenTheOthers) {
  MSpan* others = ListedByOther(kSlots);
  MSpan* own = t_.Listed(kClass, kSlots);
  StartSweepPhase();
  EXPECT_EQ(t_.Cache(kClass), own);
  EXPECT_EQ(t_.Cache(kClass), others);
  EXPECT_EQ(sweeper_.swept, (std::vector<MSpan*>{own, others}));
}

TEST_F(MCentralShardsTest, ASpanThatAnotherProcessorSweepsStaysWithItsShard) {
  MSpan* full = ListedByOther(kSlots);
  for (uint32_t i = 0; i < kSlots; ++i) t_.Mark(full, i);
  StartSweepPhase();
  EXPECT_NE(t_.Cache(kClass), full);
  EXPECT_EQ(sweeper_.swept, std::vector<MSpan*>{full});
  MCentralTestPeer others(t_.centrals, kClass, other_.shard());
  EXPECT_EQ(others.full_swept().Size(), 1u);
  EXPECT_TRUE(sets_.full_swept().Empty());
}

TEST_F(MCentralShardsTest, TheBudgetIsForAllShardsTogether) {
  for (int i = 0; i < MCentral::kSpanBudget; ++i) {
    MSpan* span =
        i % 2 == 0 ? t_.Listed(kClass, kSlots) : ListedByOther(kSlots);
    for (uint32_t slot = 0; slot < kSlots; ++slot) t_.Mark(span, slot);
  }
  MSpan* last = ListedByOther(kSlots);
  StartSweepPhase();
  EXPECT_NE(t_.Cache(kClass), last);
  EXPECT_EQ(sweeper_.swept.size(), size_t{MCentral::kSpanBudget});
  EXPECT_EQ(last->sweep_gen(), sg() - 2);
}

TEST_F(MCentralShardsTest, MoreProcessorsThanShardsShareThem) {
  std::vector<mheap::ProcessorCache> many(3 * kShards);
  std::vector<int> users(kShards);
  for (mheap::ProcessorCache& p : many) {
    t_.heap.AttachProcessor(p);
    ASSERT_LT(p.shard(), kShards);
    ++users[p.shard()];
  }
  for (const int n : users) EXPECT_GE(n, 2);
  for (mheap::ProcessorCache& p : many) t_.heap.ReleaseProcessor(p);
  // Those that were given back are the first to be taken.
  mheap::ProcessorCache again;
  t_.heap.AttachProcessor(again);
  EXPECT_NE(again.shard(), t_.processor.shard());
  EXPECT_NE(again.shard(), other_.shard());
  t_.heap.ReleaseProcessor(again);
}

TEST_F(MCentralTest, WorksWithoutASweeper) {
  t_.heap.set_sweeper(nullptr);
  MSpan* span = t_.Cache(kClass);
  ASSERT_NE(span, nullptr);
  t_.Uncache(span);
  EXPECT_EQ(t_.Cache(kClass), span);
}

TEST_F(MCentralTest, CheckInvariantsFindsAListedSpanThatIsCached) {
  MSpan* span = t_.Listed(kClass, 1);
  t_.centrals.CheckInvariants();
  span->set_sweep_gen(sg() + 3);
  EXPECT_DEATH(central().CheckInvariants(), "listed as swept");
}

TEST_F(MCentralTest, ASweptEntryThatIsNotSweptIsFatal) {
  MSpan* span = t_.Listed(kClass, 1);
  span->set_sweep_gen(sg() + 3);
  EXPECT_DEATH(static_cast<void>(central().CacheSpan(t_.processor)),
               "to be cached in class");
}

TEST(MCentralsTest, HasACentralListForEachClass) {
  TestHeap t;
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    const auto c = SpanClass::FromIndex(static_cast<uint8_t>(i));
    EXPECT_EQ(t.centrals.of(c).span_class(), c);
  }
}

TEST(MCentralsTest, SaysSoWhenThereIsNoMemoryForTheLists) {
  FakeOsMemory os(TestOsOptions());
  mheap::MHeap heap(os, TestHeapOptions());
  ASSERT_TRUE(heap.Init());
  os.FailFrom(1);
  const MCentrals centrals(heap);
  EXPECT_FALSE(centrals.ok());
}

TEST(MCentralsTest, ARefusalOfTheOsLeavesTheListsUsable) {
  const uint64_t failing = ForEachOsFailure(
      [](FakeOsMemory& os) {
        mheap::MHeap heap(os, TestHeapOptions());
        if (!heap.Init()) return;
        mheap::ProcessorCache processor;
        heap.AttachProcessor(processor);
        {
          MCentrals centrals(heap);
          if (centrals.ok()) {
            MSpan* first = centrals.of(kClass).CacheSpan(processor);
            // Whatever was refused, it works the next time.
            MSpan* second = centrals.of(kClass).CacheSpan(processor);
            EXPECT_TRUE(first != nullptr || second != nullptr);
            centrals.CheckInvariants();
          }
        }
        heap.ReleaseProcessor(processor);
        heap.CheckInvariants();
      },
      TestOsOptions());
  EXPECT_GT(failing, 3u);
}

}  // namespace
}  // namespace tricolor::mcentral
