// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/sweep/sweeper.h"

#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/sweep/sweeper_testing.h"

namespace tricolor::sweep {
namespace {

using mcentral::TestHeap;
using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanState;

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
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, 4u);
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
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, spans.size());
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
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, 3u);
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
  EXPECT_EQ(t_.heap.ReadStats().spans_swept, 1u);
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
    const uint64_t swept_before = t_.heap.ReadStats().spans_swept;
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
    EXPECT_EQ(t_.heap.ReadStats().spans_swept - swept_before, due);
    t_.heap.ClearPageMarks();
    sweeper_.CheckInvariants();
  }
}

}  // namespace
}  // namespace tricolor::sweep
