// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

// Accounts, flushing, allocation while a cycle marks, and without memory.

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"
#include "tricolor/mcache/mcache_test_fixture.h"

namespace tricolor::mcache {
namespace {

// ---- Accounting.

TEST_F(MCacheTest, ReportsTheWholeFreePartOfASpanWhenItIsCached) {
  New(kClass);
  EXPECT_EQ(observer_.live, kSlots * 512);
  EXPECT_EQ(observer_.calls, 1);
  for (uint32_t i = 1; i < kSlots; ++i) New(kClass);
  EXPECT_EQ(observer_.calls, 1) << "nothing is charged per object";
  New(kClass);
  EXPECT_EQ(observer_.live, 2 * kSlots * 512);
}

TEST_F(MCacheTest, TakesBackWhatWasNotUsed) {
  for (int i = 0; i < 5; ++i) New(kClass);
  cache_->ReleaseAll();
  EXPECT_EQ(observer_.live, 5 * 512);
  New(kClass);  // the rest of the same span
  EXPECT_EQ(observer_.live, kSlots * 512);
}

// What the pacer has been told is never less than what has been handed out,
// whenever it looks, and exactly that when nothing is cached.
TEST_F(MCacheTest, TheReportedHeapNeverLagsBehindTheObjects) {
  TestRandom random(TestSeed());
  constexpr TypeInfo kTypes[] = {kBitmapType, kNoScanType, kHeaderType,
                                 NoPointers(512, 8), kLargeType};
  int64_t objects = 0;
  for (int i = 0; i < 20000; ++i) {
    const TypeInfo& type =
        random.OneIn(500) ? kTypes[4] : kTypes[random.Below(4)];
    const uint64_t n = 1 + random.Below(3);
    void* object = cache_->Allocate(type, n);
    ASSERT_NE(object, nullptr);
    // Tiny blocks are shared: counted when one begins.
    if (!MCache::UsesTinyBlock(type, n)) {
      objects += static_cast<int64_t>(SpanOf(object)->slot_size());
    }
    ASSERT_GE(observer_.live, objects) << "object " << i;
    if (random.OneIn(300)) {
      if (random.OneIn(2)) cache_->ParkRuns();
      if (random.OneIn(2)) cache_->ReleaseAll();
      ASSERT_GE(observer_.live, objects);
    }
    if (objects > (48 << 20)) break;
  }
  cache_->ReleaseAll();
  int64_t live = 0;
  t_.heap.ForEachHeapSpan([&live](const MSpan& span) {
    live += static_cast<int64_t>(span.allocated() * span.slot_size());
  });
  EXPECT_EQ(observer_.live, live);
}

TEST_F(MCacheTest, TakesNothingBackForAStaleSpan) {
  for (int i = 0; i < 5; ++i) New(kClass);
  cache_->ParkRuns();
  t_.heap.AdvanceSweepGen();
  observer_.live = 0;  // counted afresh at the end of marking
  cache_->PrepareForSweep();
  EXPECT_EQ(observer_.live, 0);
}

TEST_F(MCacheTest, CountsWhatWasReallyHandedOut) {
  for (int i = 0; i < 5; ++i) New(kClass);
  EXPECT_EQ(Allocated(kClass.size_class()), 0u);
  cache_->PublishStats();
  EXPECT_EQ(Allocated(kClass.size_class()), 5u);
  New(kClass);
  cache_->ParkRuns();
  cache_->ReleaseAll();
  EXPECT_EQ(Allocated(kClass.size_class()), 6u);
  for (uint32_t i = 0; i < kSlots; ++i) New(kClass);
  EXPECT_EQ(Allocated(kClass.size_class()), kSlots);
  cache_->PublishStats();
  EXPECT_EQ(Allocated(kClass.size_class()), 6u + kSlots);
}

TEST_F(MCacheTest, CountsTheObjectsOfAStaleSpanBeforeItIsSwept) {
  for (int i = 0; i < 5; ++i) New(kClass);
  t_.heap.AdvanceSweepGen();
  cache_->PrepareForSweep();
  EXPECT_EQ(Allocated(kClass.size_class()), 5u);
}

// ---- Parking and flushing.

TEST_F(MCacheTest, ParkingMakesTheRestOfTheRunFree) {
  void* object = New(kClass);
  MSpan* span = SpanOf(object);
  EXPECT_FALSE(span->IsFree(1));
  cache_->ParkRuns();
  EXPECT_FALSE(span->IsFree(0));
  for (uint32_t i = 1; i < kSlots; ++i) EXPECT_TRUE(span->IsFree(i));
  EXPECT_EQ(span->allocated(), 1u);
  EXPECT_EQ(Current(kClass), span) << "the span stays cached";
  EXPECT_EQ(IndexOf(New(kClass)), 1u);
}

// An allocation that has loaded `next` and `limit`, and goes on after its
// thread was interrupted and the cache flushed: the slot is its own.
TEST_F(MCacheTest, AnInterruptedAllocationKeepsItsSlot) {
  for (const bool flush : {false, true}) {
    New(kClass);
    uintptr_t& next = MCacheTestPeer::Next(*cache_, kClass);
    const uintptr_t slot = next;
    ASSERT_LE(slot + 512, MCacheTestPeer::Limit(*cache_, kClass));
    cache_->TakeSlotsInFlight();
    if (flush) {
      cache_->ReleaseAll();
    } else {
      cache_->ParkRuns();
    }
    next = slot + 512;
    cache_->CheckInvariants();
    const MSpan* span = t_.heap.HeapSpanOf(Addr(slot));
    ASSERT_NE(span, nullptr);
    EXPECT_FALSE(span->IsFree(span->IndexOf(Addr(slot))));
    for (uint32_t i = 0; i < 2 * kSlots; ++i) {
      void* other = New(kClass);
      ASSERT_NE(other, nullptr);
      ASSERT_NE(reinterpret_cast<uintptr_t>(other), slot);
    }
    cache_->CheckInvariants();
  }
}

// It has loaded `limit` only: it finds the run ended.
TEST_F(MCacheTest, AnInterruptedAllocationDoesNotMixTwoStatesOfARun) {
  New(kClass);
  const uintptr_t limit = MCacheTestPeer::Limit(*cache_, kClass);
  cache_->TakeSlotsInFlight();
  cache_->ParkRuns();
  EXPECT_GT(MCacheTestPeer::Next(*cache_, kClass) + 512, limit);
}

TEST_F(MCacheTest, PointerBitsOfASlotWhoseSpanIsGoneAreRefused) {
  constexpr SpanClass kBits(mheap::SizeClassFor(48), SpanKind::kPointerBitmap);
  void* slot = cache_->AllocateSlow(kBits, 0b101);
  ASSERT_NE(slot, nullptr);
  slot = cache_->TryAllocate(kBits, kBits.slot_size());
  ASSERT_NE(slot, nullptr);
  EXPECT_TRUE(cache_->WritePointerBits(kBits, slot, 0b11));
  cache_->TakeSlotsInFlight();
  cache_->ReleaseAll();
  EXPECT_FALSE(cache_->WritePointerBits(kBits, slot, 0b1));
}

TEST_F(MCacheTest, AFlushedCacheIsNotFlushedAgain) {
  New(kClass);
  MSpan* span = Current(kClass);
  cache_->PrepareForSweep();
  EXPECT_EQ(Current(kClass), span);
  EXPECT_EQ(cache_->flush_gen(), sg());
}

TEST_F(MCacheTest, ABehindCacheSweepsItsSpansAndGivesThemBack) {
  void* live = New(kClass);
  New(kClass);
  MSpan* span = Current(kClass);
  t_.Mark(span, IndexOf(live));
  cache_->ParkRuns();
  t_.heap.AdvanceSweepGen();
  EXPECT_EQ(cache_->flush_gen(), sg() - 2);
  EXPECT_EQ(span->sweep_gen(), sg() + 1);
  cache_->PrepareForSweep();
  EXPECT_EQ(cache_->flush_gen(), sg());
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(span->allocated(), 1u);
  EXPECT_EQ(Current(kClass), nullptr);
}

TEST_F(MCacheTest, ACacheTwoCyclesBehindIsFatal) {
  t_.heap.AdvanceSweepGen();
  t_.heap.AdvanceSweepGen();
  EXPECT_DEATH(cache_->PrepareForSweep(),
               "last flushed in generation 0, heap generation 4");
  cache_.reset();
}

TEST_F(MCacheTest, AFlushGenerationThatCannotBeIsFatal) {
  t_.heap.AdvanceSweepGen();
  t_.heap.AdvanceSweepGen();
  ASSERT_EQ(sg(), 4u);
  for (const uint32_t wrong : {0u, 1u, 3u, 5u, 6u}) {
    MCacheTestPeer::SetFlushGen(*cache_, wrong);
    EXPECT_DEATH(cache_->PrepareForSweep(),
                 "last flushed in generation " + std::to_string(wrong) +
                     ", heap generation 4, expected 4 or 2");
  }
  MCacheTestPeer::SetFlushGen(*cache_, 2);
  cache_->PrepareForSweep();
  EXPECT_EQ(cache_->flush_gen(), 4u);
}

TEST_F(MCacheTest, AllocationFromAnUnflushedCacheIsFatal) {
  cache_->ParkRuns();
  t_.heap.AdvanceSweepGen();
  EXPECT_DEATH(New(kClass),
               "used unflushed: last flushed in generation 0, heap "
               "generation 2");
  EXPECT_DEATH(static_cast<void>(cache_->Allocate(kLargeType, 1)),
               "used unflushed");
  EXPECT_DEATH(cache_->ParkRuns(), "used unflushed");
}

TEST_F(MCacheTest, AStolenSpanIsFatalWhenItIsGivenBack) {
  New(kClass);
  MSpan* span = Current(kClass);
  for (const uint32_t wrong : {0u, 1u, 2u, 4u}) {  // sg-2, sg-1, sg, sg+2
    span->set_sweep_gen(sg() - 2 + wrong);
    EXPECT_DEATH(cache_->ReleaseAll(), "INV-MCACHE-1: .* heap generation");
  }
  span->set_sweep_gen(sg() + 3);
}

TEST_F(MCacheTest, DestroyingACacheWithSpansIsFatal) {
  New(kClass);
  EXPECT_DEATH(cache_.reset(), "destroyed with span");
}

// ---- While a cycle marks.

TEST_F(MCacheTest, WhileACycleMarksNewObjectsAreBlack) {
  void* white = New(kClass);
  cache_->ParkRuns();
  cache_->set_allocate_black(true);
  void* black = New(kClass);
  void* large = cache_->Allocate(kLargeType, 1);
  EXPECT_FALSE(SpanOf(white)->IsMarked(IndexOf(white)));
  EXPECT_TRUE(SpanOf(black)->IsMarked(IndexOf(black)));
  EXPECT_TRUE(SpanOf(large)->IsMarked(0));
  for (void* object : {black, large}) {
    const uint64_t page =
        PagesIn(SpanOf(object)->base() - t_.heap.base()).value();
    EXPECT_TRUE(
        (t_.heap.page_marks_word(page / 64).LoadRelaxed() >> (page % 64)) & 1);
  }
}

TEST_F(MCacheTest, UnusedBlackSlotsOfAStaleSpanDieWithTheFlush) {
  cache_->ParkRuns();
  cache_->set_allocate_black(true);
  New(kClass);
  MSpan* span = Current(kClass);
  cache_->set_allocate_black(false);
  t_.heap.AdvanceSweepGen();
  cache_->PrepareForSweep();
  EXPECT_EQ(span->allocated(), 1u);
  EXPECT_EQ(Allocated(kClass.size_class()), 1u);
}

TEST_F(MCacheTest, UnusedBlackSlotsStayAllocatedWhileACycleMarks) {
  cache_->ParkRuns();
  cache_->set_allocate_black(true);
  New(kClass);
  MSpan* span = Current(kClass);
  cache_->ReleaseAll();
  EXPECT_TRUE(span->full());
  EXPECT_FALSE(span->IsFree(kSlots - 1));
  EXPECT_TRUE(span->IsMarked(kSlots - 1));
}

TEST_F(MCacheTest, ParkingWhileACycleMarksIsFatal) {
  cache_->set_allocate_black(true);
  EXPECT_DEATH(cache_->ParkRuns(), "while a cycle marks");
}

// ---- A heap without memory.

TEST_F(MCacheTest, AnExhaustedHeapIsNullAndStaysUsable) {
  uint64_t objects = 0;
  while (New(kClass) != nullptr) ++objects;
  EXPECT_EQ(objects * 512, mheap::kArenaSize.value());
  EXPECT_EQ(cache_->Allocate(kLargeType, 1), nullptr);
  EXPECT_EQ(cache_->Allocate(kBitmapType, 1), nullptr);
  EXPECT_EQ(cache_->AllocateTiny(1, 1), nullptr);
  EXPECT_EQ(New(kClass), nullptr);
  cache_->CheckInvariants();
  EXPECT_EQ(observer_.live, static_cast<int64_t>(mheap::kArenaSize.value()));
  // When everything is dead, it can be had again.
  t_.heap.AdvanceSweepGen();
  cache_->PrepareForSweep();
  for (uint64_t i = 0; i < objects; ++i) ASSERT_NE(New(kClass), nullptr);
}

TEST(MCacheRefusalTest, ARefusalOfTheOsIsNullAndLeavesTheCacheUsable) {
  const uint64_t failing = ForEachOsFailure(
      [](FakeOsMemory& os) {
        mheap::MHeap heap(os, mcentral::TestHeapOptions());
        if (!heap.Init()) return;
        mheap::ProcessorCache processor;
        heap.AttachProcessor(processor);
        mcentral::MCentrals centrals(heap);
        if (centrals.ok()) {
          FakeObserver observer;
          MCache cache(heap, centrals, processor, observer);
          int refused = 0;
          for (const TypeInfo* type :
               {&kNoScanType, &kBitmapType, &kHeaderType, &kLargeType}) {
            for (int i = 0; i < 3; ++i) {
              if (cache.Allocate(*type, 1) == nullptr) ++refused;
              cache.CheckInvariants();
            }
          }
          EXPECT_LE(refused, 1);
          cache.ReleaseAll();
          centrals.CheckInvariants();
        }
        heap.ReleaseProcessor(processor);
        heap.CheckInvariants();
      },
      mcentral::TestOsOptions());
  EXPECT_GT(failing, 5u);
}

}  // namespace
}  // namespace tricolor::mcache
