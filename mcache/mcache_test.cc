// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcache/mcache.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"
#include "tricolor/mcache/allocate-inl.h"
#include "tricolor/mcache/mcache_test_fixture.h"
#include "tricolor/mheap/object_layout.h"

namespace tricolor::mcache {
namespace {

// ---- Small objects.

TEST_F(MCacheTest, TheFastPathFailsUntilARunHasBeenTaken) {
  EXPECT_EQ(cache_->TryAllocate(kClass, 512), nullptr);
  ASSERT_NE(cache_->AllocateSlow(kClass), nullptr);
  EXPECT_NE(cache_->TryAllocate(kClass, 512), nullptr);
}

TEST_F(MCacheTest, HandsOutEachSlotOfASpanOnceAndThenTakesAnother) {
  std::set<void*> slots;
  for (uint32_t i = 0; i < kSlots; ++i) slots.insert(New(kClass));
  EXPECT_EQ(slots.size(), kSlots);
  MSpan* span = Current(kClass);
  EXPECT_TRUE(span->full());
  for (void* slot : slots) EXPECT_EQ(SpanOf(slot), span);
  void* next = New(kClass);
  EXPECT_NE(SpanOf(next), span);
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_EQ(Current(kClass)->sweep_gen(), sg() + 3);
}

TEST_F(MCacheTest, ZeroesTheMemoryOfFormerObjects) {
  for (uint32_t i = 0; i < kSlots; ++i) std::memset(New(kClass), 0xab, 512);
  cache_->ParkRuns();
  t_.heap.AdvanceSweepGen();
  cache_->PrepareForSweep();
  for (uint32_t i = 0; i < 3 * kSlots; ++i) {
    EXPECT_TRUE(IsZero(New(kClass), 512));
  }
}

TEST_F(MCacheTest, SlotsOfMoreThanARunAreTakenOneByOne) {
  constexpr SpanClass kBig(mheap::SizeClassFor(32768), SpanKind::kNoScan);
  EXPECT_NE(New(kBig), nullptr);
  EXPECT_EQ(cache_->TryAllocate(kBig, 32768), nullptr);
  EXPECT_NE(New(kBig), nullptr);
}

TEST_F(MCacheTest, FillsTheHolesOfASweptSpan) {
  std::vector<void*> slots;
  for (uint32_t i = 0; i < kSlots; ++i) slots.push_back(New(kClass));
  MSpan* span = Current(kClass);
  for (uint32_t i = 0; i < kSlots; i += 3) t_.Mark(span, i);
  t_.heap.AdvanceSweepGen();
  cache_->PrepareForSweep();
  std::set<void*> reused;
  while (reused.size() < kSlots - (kSlots + 2) / 3) reused.insert(New(kClass));
  for (uint32_t i = 0; i < kSlots; ++i) {
    EXPECT_EQ(reused.count(slots[i]), i % 3 == 0 ? 0u : 1u) << i;
  }
}

TEST_F(MCacheTest, AllocatesObjectsOfEveryClass) {
  for (int i = mheap::kSpanKinds; i < mheap::kSpanClasses; ++i) {
    const auto c = SpanClass::FromIndex(static_cast<uint8_t>(i));
    if (c.slots() == 0) continue;
    for (uint32_t n = 0; n <= c.slots(); ++n) {
      void* slot = New(c);
      ASSERT_NE(slot, nullptr);
      ASSERT_EQ(SpanOf(slot)->span_class(), c);
      std::memset(slot, 0xff, c.slot_size());
    }
    cache_->CheckInvariants();
  }
}

// ---- Tiny objects.

TEST_F(MCacheTest, TinyObjectsShareABlock) {
  void* a = cache_->AllocateTiny(1, 1);
  void* b = cache_->AllocateTiny(4, 4);
  void* c = cache_->AllocateTiny(8, 8);
  EXPECT_EQ(static_cast<char*>(b), static_cast<char*>(a) + 4);
  EXPECT_EQ(static_cast<char*>(c), static_cast<char*>(a) + 8);
  EXPECT_EQ(IndexOf(a), IndexOf(c));
  void* d = cache_->AllocateTiny(1, 1);  // the block is full
  EXPECT_NE(IndexOf(a), IndexOf(d));
  EXPECT_EQ(SpanOf(d)->span_class(), kTinyClass);
  cache_->PublishStats();
  EXPECT_EQ(t_.heap.ReadStats().tiny_allocated, 4u);
  EXPECT_EQ(Allocated(kTinyClass.size_class()), 2u);
}

TEST_F(MCacheTest, KeepsTheTinyBlockWithMoreRoom) {
  void* roomy = cache_->AllocateTiny(6, 1);
  void* other = cache_->AllocateTiny(12, 1);  // does not fit; 4 bytes left
  EXPECT_NE(IndexOf(roomy), IndexOf(other));
  void* third = cache_->AllocateTiny(10, 1);
  EXPECT_EQ(static_cast<char*>(third), static_cast<char*>(roomy) + 6);
  void* fourth = cache_->AllocateTiny(2, 1);  // the new block has more room
  void* fifth = cache_->AllocateTiny(14, 1);
  EXPECT_EQ(static_cast<char*>(fifth), static_cast<char*>(fourth) + 2);
}

TEST_F(MCacheTest, TinyObjectsAreZeroAlignedAndDistinct) {
  std::set<uintptr_t> bytes;
  for (size_t i = 0; i < 5000; ++i) {
    const size_t size = i % 15 + 1;
    const size_t align = size_t{1} << (i / 15 % 4);
    void* object = cache_->AllocateTiny(size, align);
    const auto address = reinterpret_cast<uintptr_t>(object);
    EXPECT_TRUE(IsAligned(address, align));
    EXPECT_EQ(address / 16, (address + size - 1) / 16);
    EXPECT_TRUE(IsZero(object, size));
    std::memset(object, 0xcd, size);
    for (size_t b = 0; b < size; ++b) {
      EXPECT_TRUE(bytes.insert(address + b).second);
    }
  }
}

TEST_F(MCacheTest, ParkingForgetsTheTinyBlock) {
  void* before = cache_->AllocateTiny(1, 1);
  cache_->ParkRuns();
  EXPECT_NE(IndexOf(before), IndexOf(cache_->AllocateTiny(1, 1)));
}

TEST_F(MCacheTest, FlushingForgetsTheTinyBlock) {
  void* before = cache_->AllocateTiny(1, 1);
  t_.Mark(SpanOf(before), IndexOf(before));
  t_.heap.AdvanceSweepGen();
  cache_->PrepareForSweep();
  EXPECT_NE(IndexOf(before), IndexOf(cache_->AllocateTiny(1, 1)));
}

TEST(TinyBlockTest, OnlySmallObjectsWithoutPointersShareBlocks) {
  EXPECT_TRUE(MCache::UsesTinyBlock(NoPointers(15, 1), 1));
  EXPECT_FALSE(MCache::UsesTinyBlock(NoPointers(16, 8), 1));
  EXPECT_TRUE(MCache::UsesTinyBlock(NoPointers(8, 8), 1));
  EXPECT_FALSE(MCache::UsesTinyBlock(NoPointers(8, 16), 1));
  EXPECT_FALSE(MCache::UsesTinyBlock(WithBitmap(8), 1));
  // An array needs the byte after its end.
  EXPECT_TRUE(MCache::UsesTinyBlock(NoPointers(1, 1), 14));
  EXPECT_FALSE(MCache::UsesTinyBlock(NoPointers(1, 1), 15));
  EXPECT_FALSE(MCache::UsesTinyBlock(NoPointers(8, 8), uint64_t{1} << 61));
  EXPECT_FALSE(MCache::UsesTinyBlock(NoPointers(2, 1), ~uint64_t{0}));
}

TEST_F(MCacheTest, TheEndOfATinyArrayIsInItsBlock) {
  const TypeInfo byte = NoPointers(1, 1);
  for (uint64_t length = 2; length < 15; ++length) {
    for (int i = 0; i < 20; ++i) {
      void* array = cache_->Allocate(byte, length);
      EXPECT_EQ(IndexOf(array), IndexOf(static_cast<char*>(array) + length))
          << length << " bytes";
    }
  }
}

// ---- Large objects.

TEST_F(MCacheTest, ALargeObjectHasASpanToItself) {
  const TypeInfo type = NoPointers(100000, 8);
  void* object = cache_->Allocate(type, 1);
  ASSERT_NE(object, nullptr);
  MSpan* span = SpanOf(object);
  EXPECT_EQ(span->base(), Addr(object));
  EXPECT_TRUE(span->is_large());
  EXPECT_EQ(span->span_class().kind(), SpanKind::kNoScan);
  EXPECT_EQ(span->pages(), PagesFor(ByteCount(100000)));
  EXPECT_EQ(span->large_type(), &type);
  EXPECT_EQ(span->sweep_gen(), sg());
  EXPECT_FALSE(span->IsFree(0));
  EXPECT_TRUE(IsZero(object, 100000));
  EXPECT_EQ(observer_.live, static_cast<int64_t>(span->bytes().value()));
  const mheap::HeapStats stats = t_.heap.ReadStats();
  EXPECT_EQ(stats.small_allocated[0], 1u);
  EXPECT_EQ(stats.large_allocated_bytes, span->bytes().value());
  EXPECT_EQ(sweeper_.paid, span->bytes());
}

TEST_F(MCacheTest, TheNextSweepFindsALargeObject) {
  const TypeInfo type = Conservative(100000);
  void* object = cache_->Allocate(type, 1);
  MSpan* span = SpanOf(object);
  EXPECT_EQ(span->span_class().kind(), SpanKind::kTypeHeader);
  t_.heap.AdvanceSweepGen();
  EXPECT_EQ(t_.PopUnswept(), span);
  t_.heap.FreeSpan(t_.processor, (span->set_sweep_gen(sg()), span));
}

TEST_F(MCacheTest, LargeObjectsAreZeroedWhenTheirPagesAreReused) {
  const TypeInfo type = NoPointers(1 << 20, 8);
  void* object = DropLarge(type);
  std::memset(object, 0xab, 1 << 20);
  void* again = cache_->Allocate(type, 1);
  ASSERT_EQ(again, object) << "the pages should have been reused";
  EXPECT_TRUE(IsZero(again, 1 << 20));
}

// Notes what it sees of the object that is being made.
class NotingHook final : public SliceHook {
 public:
  explicit NotingHook(std::function<void(void*, size_t)> look)
      : look_(std::move(look)) {}
  void BetweenSlices(void* object) override {
    ++calls;
    look_(object, calls * MCache::kZeroSlice);
  }
  size_t calls = 0;

 private:
  std::function<void(void*, size_t)> look_;
};

TEST_F(MCacheTest, ALargeObjectHasNoTypeBeforeAllOfItIsZero) {
  constexpr size_t kSize = 5 * MCache::kZeroSlice + 8192;
  const TypeInfo type = Conservative(kSize);
  std::memset(DropLarge(type), 0xab, kSize);
  NotingHook hook([&](void* object, size_t zeroed) {
    MSpan* span = SpanOf(object);
    EXPECT_EQ(span->large_type(), nullptr);
    EXPECT_FALSE(span->IsFree(0));
    EXPECT_TRUE(IsZero(object, zeroed));
    EXPECT_EQ(static_cast<unsigned char*>(object)[zeroed], 0xab);
  });
  void* object = cache_->Allocate(type, 1, &hook);
  EXPECT_EQ(hook.calls, 5u);
  EXPECT_EQ(SpanOf(object)->large_type(), &type);
  EXPECT_TRUE(IsZero(object, kSize));
}

TEST_F(MCacheTest, MemoryThatIsZeroIsNotZeroedAgain) {
  const TypeInfo type = NoPointers(4 * MCache::kZeroSlice, 8);
  NotingHook hook([](void*, size_t) {});
  void* object = cache_->Allocate(type, 1, &hook);
  EXPECT_EQ(hook.calls, 0u);
  EXPECT_TRUE(IsZero(object, type.size));
}

TEST_F(MCacheTest, AnObjectOfOneSliceIsZeroedInOneGo) {
  const TypeInfo type = NoPointers(MCache::kZeroSlice, 8);
  std::memset(DropLarge(type), 0xab, type.size);
  NotingHook hook([](void*, size_t) {});
  EXPECT_TRUE(IsZero(cache_->Allocate(type, 1, &hook), type.size));
  EXPECT_EQ(hook.calls, 0u);
}

TEST_F(MCacheTest, ACycleMayGoByWhileALargeObjectIsZeroed) {
  const TypeInfo type = Conservative(4 * MCache::kZeroSlice);
  std::memset(DropLarge(type), 0xab, type.size);
  NotingHook hook([&](void* object, size_t) {
    MSpan* span = SpanOf(object);
    t_.Mark(span, 0);
    cache_->ParkRuns();
    t_.heap.AdvanceSweepGen();
    ASSERT_EQ(t_.PopUnswept(), span);
    ASSERT_TRUE(span->TryAcquireForSweep(sg()));
    sweeper_.SweepAndKeep(t_.processor, *span);
    t_.centrals.of(span->span_class()).PushSwept(*span);
    cache_->PrepareForSweep();
  });
  void* object = cache_->Allocate(type, 1, &hook);
  EXPECT_EQ(hook.calls, 3u);
  EXPECT_EQ(SpanOf(object)->large_type(), &type);
  EXPECT_FALSE(SpanOf(object)->IsFree(0));
  EXPECT_TRUE(IsZero(object, type.size));
}

TEST_F(MCacheTest, LargeObjectsCanBeAlignedBeyondAPage) {
  for (const size_t align : {size_t{16384}, size_t{65536}, size_t{1} << 20}) {
    void* object = cache_->Allocate(NoPointers(align, align), 1);
    ASSERT_NE(object, nullptr);
    EXPECT_TRUE(IsAligned(reinterpret_cast<uintptr_t>(object), align));
  }
}

TEST_F(MCacheTest, ImpossibleSizesAreNull) {
  const TypeInfo type = NoPointers(1000, 8);
  EXPECT_EQ(cache_->Allocate(type, ~uint64_t{0}), nullptr);
  EXPECT_EQ(cache_->Allocate(type, (uint64_t{1} << 46) / 1000), nullptr);
  EXPECT_EQ(cache_->Allocate(type, mheap::kArenaSize.value() / 1000 + 1),
            nullptr)
      << "more than the reservation";
  EXPECT_EQ(observer_.calls, 0);
}

// ---- Whatever the type.

TEST_F(MCacheTest, ObjectsWithABitmapHaveTheirPointerBits) {
  const TypeInfo one = WithBitmap(24);
  const TypeInfo other = WithBitmap(32);
  for (int i = 0; i < 1000; ++i) {
    void* object = cache_->Allocate(i % 3 == 0 ? other : one, 1);
    EXPECT_EQ(SpanOf(object)->PointerBits(IndexOf(object)), 0b101u);
    EXPECT_TRUE(IsZero(object, 24));
  }
}

TEST_F(MCacheTest, TypesOfOneClassTakeTurns) {
  static constexpr uint64_t kAll[] = {0b1111};
  const TypeInfo all{.size = 32,
                     .align = 8,
                     .tracing = Tracing::kBitmap,
                     .pointer_words = 4,
                     .bitmap = kAll};
  const TypeInfo none{
      .size = 32, .align = 8, .tracing = Tracing::kBitmap, .bitmap = kAll};
  const TypeInfo two = WithBitmap(32);
  struct Expected {
    void* object;
    uint64_t bits;
  };
  std::vector<Expected> objects;
  for (int i = 0; i < 2000; ++i) {
    objects.push_back({cache_->Allocate(all, 1), 0b1111});
    objects.push_back({cache_->Allocate(two, 1), 0b101});
    if (i % 7 == 0) objects.push_back({cache_->Allocate(none, 1), 0});
  }
  for (const Expected& e : objects) {
    EXPECT_EQ(SpanOf(e.object)->PointerBits(IndexOf(e.object)), e.bits);
  }
}

// What the page info says of all objects holds for each, whatever came first,
// and in whatever order a swept span is filled again.
TEST_F(MCacheTest, CommonPointersOfAPageAreThoseOfAllItsObjects) {
  for (const uint64_t first : {0b101u, 0x7fu, 0x80u, 0xffu}) {
    const TypeInfo one{.size = 64,
                       .align = 8,
                       .tracing = Tracing::kBitmap,
                       .pointer_words = 8,
                       .bitmap = &first};
    const TypeInfo two = WithBitmap(64);
    void* object = cache_->Allocate(one, 1);
    while (IndexOf(object) != 0) object = cache_->Allocate(one, 1);  // fresh
    const uint64_t common = first <= 0x7f ? first : 0;
    EXPECT_EQ(t_.heap.page_info(Addr(object)).common_pointers(), common);
    EXPECT_EQ(SpanOf(object)->common_pointers(), common);
    t_.heap.CheckInvariants();
    void* next = cache_->Allocate(one, 1);
    EXPECT_EQ(t_.heap.page_info(Addr(object)).common_pointers(), common);
    void* differs = cache_->Allocate(two, 1);
    EXPECT_EQ(SpanOf(differs)->PointerBits(IndexOf(differs)), 0b101u);
    EXPECT_EQ(SpanOf(next), SpanOf(differs));
    EXPECT_EQ(t_.heap.page_info(Addr(next)).common_pointers(),
              first == 0b101 ? 0b101u : 0u);
    t_.heap.CheckInvariants();
  }
}

TEST_F(MCacheTest, ArraysRepeatTheBitmap) {
  const TypeInfo type = WithBitmap(24);
  for (uint64_t n = 1; n <= 21; ++n) {
    void* array = cache_->Allocate(type, n);
    MSpan* span = SpanOf(array);
    ASSERT_EQ(span->span_class().kind(), SpanKind::kPointerBitmap) << n;
    EXPECT_EQ(span->PointerBits(IndexOf(array)),
              mheap::SlotPointerBits(type, n));
    // One past the end points into the array's slot.
    EXPECT_EQ(IndexOf(array),
              IndexOf(static_cast<char*>(array) + (n > 1 ? 24 * n : 0)));
  }
}

TEST_F(MCacheTest, ObjectsWithAHeaderPointToTheirType) {
  for (const size_t align : {size_t{8}, size_t{64}, size_t{4096}}) {
    const TypeInfo type = Conservative(8192, align);
    void* object = cache_->Allocate(type, 1);
    MSpan* span = SpanOf(object);
    ASSERT_EQ(span->span_class().kind(), SpanKind::kTypeHeader);
    const Addr slot = span->SlotAddress(IndexOf(object));
    EXPECT_EQ(slot.as<Atomic<const TypeInfo*>>()->LoadAcquire(), &type);
    EXPECT_EQ(Addr(object) - slot, ByteCount(align));
    EXPECT_TRUE(IsZero(object, 8192));
  }
}

TEST_F(MCacheTest, AnArrayOfNothingIsAnObject) {
  EXPECT_NE(cache_->Allocate(NoPointers(24, 8), 0), nullptr);
  EXPECT_NE(cache_->Allocate(NoPointers(1, 1), 0), nullptr);
}

// ---- Allocation of what is known at compile time.

TEST_F(MCacheTest, FixedLayoutsAllocateAsTheGeneralWayDoes) {
  for (int i = 0; i < 500; ++i) {
    void* bitmap =
        AllocateFixed<FixedLayoutFor(kBitmapType)>(*cache_, kBitmapType);
    EXPECT_EQ(SpanOf(bitmap)->PointerBits(IndexOf(bitmap)), 0b101u);
    void* general = cache_->Allocate(kBitmapType, 1);
    EXPECT_EQ(SpanOf(bitmap)->span_class(), SpanOf(general)->span_class());

    void* plain =
        AllocateFixed<FixedLayoutFor(kNoScanType)>(*cache_, kNoScanType);
    EXPECT_EQ(SpanOf(plain)->span_class(), kTinyClass);
    EXPECT_EQ(SpanOf(plain)->SlotAddress(IndexOf(plain)), Addr(plain));

    void* header =
        AllocateFixed<FixedLayoutFor(kHeaderType)>(*cache_, kHeaderType);
    EXPECT_EQ(*static_cast<const TypeInfo**>(static_cast<void*>(
                  static_cast<char*>(header) - mheap::kTypeHeaderBytes)),
              &kHeaderType);
    EXPECT_TRUE(IsZero(header, 600));
  }
  void* large = AllocateFixed<FixedLayoutFor(kLargeType)>(*cache_, kLargeType);
  EXPECT_EQ(SpanOf(large)->large_type(), &kLargeType);
}

TEST_F(MCacheTest, FixedLayoutsShareTinyBlocksOnlyWhenTold) {
  constexpr FixedLayout kShared =
      FixedLayoutFor(kNoScanType, TinyBlocks::kAllowed);
  static_assert(kShared.tiny_size == 12 && kShared.tiny_align == 4);
  static_assert(FixedLayoutFor(kNoScanType).tiny_size == 0);
  void* first = cache_->AllocateTiny(4, 4);
  void* second = AllocateFixed<kShared>(*cache_, kNoScanType);
  EXPECT_EQ(IndexOf(first), IndexOf(second));
}

}  // namespace
}  // namespace tricolor::mcache
