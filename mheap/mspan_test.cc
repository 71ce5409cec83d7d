// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/mspan.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/mheap/asan.h"
#include "tricolor/mheap/mheap_testing.h"

namespace tricolor::mheap {
namespace {

TEST(MSpanTest, RunsOfAFreshSpanAreAsLongAsAskedFor) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(24));  // 341 slots
  SlotRun run = span->TakeFreeRun(1);
  EXPECT_EQ(run.first, 0u);
  EXPECT_EQ(run.count, 1u);
  run = span->TakeFreeRun(100);
  EXPECT_EQ(run.first, 1u);
  EXPECT_EQ(run.count, 100u);
  EXPECT_EQ(span->allocated(), 101u);
  EXPECT_FALSE(span->IsFree(100));
  EXPECT_TRUE(span->IsFree(101));
  run = span->TakeFreeRun(1000);
  EXPECT_EQ(run.first, 101u);
  EXPECT_EQ(run.count, 240u);
  EXPECT_TRUE(span->full());
  EXPECT_EQ(span->TakeFreeRun(1).count, 0u);
  EXPECT_EQ(span->TakeFreeRun(UINT32_MAX).count, 0u);
}

// What the slots should be like, in one flag a slot.
struct Model {
  explicit Model(uint32_t slots) : live(slots), marked(slots) {}

  SlotRun Take(uint32_t max) {
    while (index < live.size() && live[index]) ++index;
    SlotRun run{index, 0};
    while (index < live.size() && !live[index] && run.count < max) {
      ++index;
      ++run.count;
    }
    return run.count == 0 ? SlotRun{} : run;
  }
  bool IsFree(uint32_t i) const { return i >= index && !live[i]; }
  void FinishSweep() {
    live = marked;
    std::fill(marked.begin(), marked.end(), false);
    index = 0;
  }

  std::vector<bool> live;    // at the last sweep
  std::vector<bool> marked;  // since
  uint32_t index = 0;
};

void MarkSome(Random& random, MSpan& span, Model& model) {
  const uint32_t one_in = 1 + random.Below(6);
  for (uint32_t i = 0; i < span.slots(); ++i) {
    if (span.IsFree(i) || random.Below(one_in) != 0) continue;
    EXPECT_TRUE(span.SetMarked(i));
    EXPECT_FALSE(span.SetMarked(i));
    model.marked[i] = true;
  }
}

TEST(MSpanTest, RunsAgreeWithAModelOverManySweeps) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  Random random(seed);
  TestHeap t;
  for (const size_t size : {8u, 24u, 48u, 112u, 1408u, 8192u, 32768u}) {
    MSpan& span = *t.heap.AllocSpan(t.processor, ClassFor(size));
    Model model(span.slots());
    for (int cycle = 0; cycle < 30; ++cycle) {
      const uint32_t max = 1 + random.Below(random.Below(2) == 0 ? 4 : 200);
      for (uint32_t steps = random.Below(60); steps > 0; --steps) {
        const SlotRun run = span.TakeFreeRun(max);
        const SlotRun wanted = model.Take(max);
        ASSERT_EQ(run.first, wanted.first);
        ASSERT_EQ(run.count, wanted.count);
        if (run.count == 0) break;
        const uint32_t back =
            random.Below(3) == 0 ? random.Below(run.count) : 0;
        span.ReturnRunTail(back);
        model.index -= back;
      }
      for (uint32_t i = 0; i < span.slots(); ++i) {
        ASSERT_EQ(span.IsFree(i), model.IsFree(i)) << i;
      }
      MarkSome(random, span, model);
      Sweep(t.heap, span);
      model.FinishSweep();
      t.heap.CheckInvariants();
    }
  }
}

TEST(MSpanTest, EverySlotThatIsHandedOutIsZero) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  Random random(seed);
  TestHeap t;
  for (const size_t size : {16u, 48u, 1408u, 27264u}) {
    MSpan& span = *t.heap.AllocSpan(t.processor, ClassFor(size));
    Model model(span.slots());
    for (int cycle = 0; cycle < 20; ++cycle) {
      for (;;) {
        const SlotRun run = span.TakeFreeRun(1 + random.Below(40));
        if (run.count == 0) break;
        const uint32_t used = 1 + random.Below(run.count);
        for (uint32_t i = run.first; i < run.first + used; ++i) {
          char* object = span.SlotAddress(i).as<char>();
          ASSERT_EQ(std::count(object, object + span.slot_size(), 0),
                    static_cast<int64_t>(span.slot_size()));
          std::memset(object, 0xee, span.slot_size());
        }
        span.ReturnRunTail(run.count - used);
      }
      MarkSome(random, span, model);
      Sweep(t.heap, span);
    }
    EXPECT_TRUE(span.needs_zero());
  }
}

TEST(MSpanTest, OnlyASweepThatFreesMakesZeroingNecessary) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(48));
  const SlotRun run = span->TakeFreeRun(64);
  span->MarkRun(run);
  Sweep(t.heap, *span);
  EXPECT_EQ(span->allocated(), 64u);
  EXPECT_FALSE(span->needs_zero());
  span->SetMarked(3);
  Sweep(t.heap, *span);
  EXPECT_EQ(span->allocated(), 1u);
  EXPECT_TRUE(span->needs_zero());
}

TEST(MSpanTest, RunsOfMarksCrossWords) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(8));  // 1024 slots
  ASSERT_EQ(span->TakeFreeRun(1024).count, 1024u);
  span->MarkRun({60, 140});
  EXPECT_EQ(span->CountMarked(), 140u);
  for (uint32_t i = 0; i < 1024; ++i) {
    ASSERT_EQ(span->IsMarked(i), i >= 60 && i < 200) << i;
  }
  span->UnmarkRun({64, 64});
  EXPECT_EQ(span->CountMarked(), 76u);
  EXPECT_TRUE(span->IsMarked(63));
  EXPECT_FALSE(span->IsMarked(64));
  EXPECT_FALSE(span->IsMarked(127));
  EXPECT_TRUE(span->IsMarked(128));
  span->MarkRun({0, 1024});
  EXPECT_EQ(span->CountMarked(), 1024u);
  span->UnmarkRun({0, 0});
  span->UnmarkRun({1023, 1});
  EXPECT_EQ(span->CountMarked(), 1023u);
  span->UnmarkRun({0, 1024});
  EXPECT_EQ(span->CountMarked(), 0u);
}

TEST(MSpanTest, PointerBitsOfNeighborsDoNotMix) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  Random random(seed);
  TestHeap t;
  for (uint8_t c = 1; kClassSize[c] <= kMaxBitmapObject; ++c) {
    MSpan& span =
        *t.heap.AllocSpan(t.processor, SpanClass(c, SpanKind::kPointerBitmap));
    const auto words = static_cast<unsigned>(span.slot_size() / 8);
    std::vector<uint64_t> wanted(span.slots());
    for (int round = 0; round < 1000; ++round) {
      const uint32_t i = random.Below(span.slots());
      wanted[i] = random() & LowMask(words);
      span.SetPointerBits(i, wanted[i]);
      ASSERT_EQ(span.PointerBits(i), wanted[i]);
    }
    for (uint32_t i = 0; i < span.slots(); ++i) {
      ASSERT_EQ(span.PointerBits(i), wanted[i]) << span.slot_size() << " " << i;
    }
  }
}

TEST(MSpanTest, PointerBitmapStartsEmptyOnReusedPages) {
  TestHeap t;
  const SpanClass c = ClassFor(64, SpanKind::kPointerBitmap);
  MSpan* span = t.heap.AllocSpan(t.processor, c);
  for (uint32_t i = 0; i < span->slots(); ++i) span->SetPointerBits(i, 0xff);
  t.heap.FreeSpan(t.processor, span);
  span = t.heap.AllocSpan(t.processor, c);
  ASSERT_TRUE(span->needs_zero());
  for (uint32_t i = 0; i < span->slots(); ++i) {
    EXPECT_EQ(span->PointerBits(i), 0u);
  }
}

TEST(MSpanTest, OnlyAnUnsweptSpanCanBeAcquiredAndOnlyOnce) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(8));
  const uint32_t sg = t.heap.sweep_gen() + 2;
  t.heap.AdvanceSweepGen();
  EXPECT_TRUE(span->TryAcquireForSweep(sg));
  EXPECT_EQ(span->sweep_gen(), sg - 1);
  EXPECT_FALSE(span->TryAcquireForSweep(sg));
  for (const uint32_t gen : {sg, sg + 1, sg + 3}) {
    span->set_sweep_gen(gen);
    EXPECT_FALSE(span->TryAcquireForSweep(sg));
    EXPECT_EQ(span->sweep_gen(), gen);
  }
  span->set_sweep_gen(sg);
}

TEST(MSpanTest, LargeTypeIsNullUntilSetAndAfterReuse) {
  TestHeap t;
  static constexpr TypeInfo kType{.size = 8, .align = 8};
  MSpan* span = t.heap.AllocSpan(t.processor, PageCount(2), LargeClass());
  EXPECT_EQ(span->large_type(), nullptr);
  span->set_large_type(&kType);
  EXPECT_EQ(span->large_type(), &kType);
  t.heap.FreeSpan(t.processor, span);
  span = t.heap.AllocSpan(t.processor, PageCount(2), LargeClass());
  EXPECT_EQ(span->large_type(), nullptr);
}

TEST(MSpanTest, ALargeObjectIsTakenAsItIs) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, PageCount(2), LargeClass());
  EXPECT_FALSE(span->needs_zero());
  span->TakeLarge();
  EXPECT_FALSE(span->IsFree(0));
  EXPECT_TRUE(span->full());
  std::memset(span->base().pointer(), 0xab, span->bytes().value());
  EXPECT_DEATH(span->TakeLarge(), "1 slots allocated, taken as a large object");
  t.heap.FreeSpan(t.processor, span);
  span = t.heap.AllocSpan(t.processor, PageCount(2), LargeClass());
  EXPECT_TRUE(span->needs_zero());
  EXPECT_TRUE(span->IsFree(0));
  span->TakeLarge();
  EXPECT_EQ(*span->base().as<unsigned char>(), 0xab);
  MSpan* small = t.heap.AllocSpan(t.processor, ClassFor(48));
  EXPECT_DEATH(small->TakeLarge(), "taken as a large object");
}

TEST(MSpanTest, DescriptionNamesStateAndPlace) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(48));
  char buffer[MSpan::kDescriptionSize];
  const std::string text = span->Describe(buffer, sizeof buffer);
  EXPECT_NE(text.find("InUse"), std::string::npos) << text;
  EXPECT_NE(text.find("170 slots of 48 bytes"), std::string::npos) << text;
  EXPECT_LT(text.size() + 1, sizeof buffer);
  EXPECT_EQ(std::strlen(span->Describe(buffer, 10)), 9u);
}

TEST(MSpanTest, FreeSlotsArePoisonedUnderAddressSanitizer) {
  if (!kAsan) GTEST_SKIP() << "no AddressSanitizer";
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, ClassFor(48));
  const auto poisoned = [span](uint32_t i) {
    return AsanIsPoisoned(span->SlotAddress(i)) &&
           AsanIsPoisoned(span->SlotAddress(i) + ByteCount(47));
  };
  EXPECT_TRUE(poisoned(0));
  span->TakeFreeRun(5);
  EXPECT_FALSE(poisoned(0));
  EXPECT_FALSE(poisoned(4));
  EXPECT_TRUE(poisoned(5));
  span->ReturnRunTail(2);
  EXPECT_TRUE(poisoned(3));
  span->SetMarked(1);
  Sweep(t.heap, *span);
  EXPECT_TRUE(poisoned(0));
  EXPECT_FALSE(poisoned(1));
  EXPECT_TRUE(poisoned(2));
  EXPECT_TRUE(poisoned(169));
  const Addr base = span->base();
  t.heap.FreeSpan(t.processor, span);
  for (uint64_t i = 0; i < kPageSize; i += 8) {
    ASSERT_FALSE(AsanIsPoisoned(base + ByteCount(i)));
  }
}

}  // namespace
}  // namespace tricolor::mheap
