// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory back to the OS: towards the goals in the background, by who allocates,
// and on request; on a fake OS, so that every number is exact.

#include <cstdint>
#include <functional>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/mheap/mheap_testing.h"
#include "tricolor/mheap/scavenge_control.h"

namespace tricolor::mheap {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr ByteCount MiB(uint64_t n) { return ByteCount(n * kMiB); }
constexpr PageCount kOneMiB = PagesIn(MiB(1));

class MHeapScavengeTest : public testing::Test {
 protected:
  MSpan* Alloc(PageCount pages) {
    MSpan* span = t_.heap.AllocSpan(t_.processor, pages, LargeClass());
    EXPECT_NE(span, nullptr);
    return span;
  }
  // `count` spans of `pages` each.
  std::vector<MSpan*> AllocMany(int count, PageCount pages) {
    std::vector<MSpan*> spans;
    for (int i = 0; i < count; ++i) spans.push_back(Alloc(pages));
    return spans;
  }
  void Free(MSpan* span) { t_.heap.FreeSpan(t_.processor, span); }
  void FreeAll(const std::vector<MSpan*>& spans) {
    for (MSpan* span : spans) Free(span);
  }
  ByteCount held() {
    return t_.heap.ready() + t_.heap.metadata().bytes_from_os();
  }
  // Until nothing is left to do; the sum.
  ByteCount RunBackground() {
    ByteCount sum;
    for (;;) {
      const ByteCount now = t_.heap.ScavengeInBackground(ByteCount(64 << 10));
      if (now == ByteCount(0)) return sum;
      sum += now;
      t_.heap.CheckInvariants();
    }
  }
  // Chunks that were dense are not so any more.
  void PassGenerations() {
    t_.heap.NextScavengeGeneration();
    t_.heap.NextScavengeGeneration();
  }

  TestHeap t_;
};

// All chunks are of huge pages.
class MHeapHugePagesTest : public testing::Test {
 protected:
  static MHeapOptions Options() {
    MHeapOptions options = SmallHeapOptions();
    options.huge_pages_from = ByteCount(0);
    return options;
  }
  // Fills `chunks` chunks with spans of 16 pages; the last `drop` spans of each
  // are freed.
  void Fill(int chunks, int drop) {
    constexpr int kSpans = 32;
    for (int i = 0; i < chunks * kSpans; ++i) {
      spans_.push_back(
          t_.heap.AllocSpan(t_.processor, PageCount(16), LargeClass()));
      ASSERT_NE(spans_.back(), nullptr);
    }
    Drop(drop);
  }
  void Drop(int drop) {
    for (MSpan*& span : spans_) {
      const uint64_t page =
          PagesIn(span->base() - t_.heap.base()).value() % 512;
      if (page + 16 * static_cast<uint64_t>(drop) < 512) continue;
      t_.heap.FreeSpan(t_.processor, span);
      span = nullptr;
    }
    std::erase(spans_, nullptr);
  }
  void TearDown() override {
    for (MSpan* span : spans_) t_.heap.FreeSpan(t_.processor, span);
  }
  void PassGenerations() {
    t_.heap.NextScavengeGeneration();
    t_.heap.NextScavengeGeneration();
  }
  uint64_t asked() const { return t_.os.calls(OsCall::kHugePage); }
  uint64_t refused() const { return t_.os.calls(OsCall::kNoHugePage); }

  TestHeap t_{Options()};
  std::vector<MSpan*> spans_;
};

TEST_F(MHeapScavengeTest, WithoutGoalsTheBackgroundDoesNothing) {
  FreeAll(AllocMany(8, kOneMiB));
  PassGenerations();
  EXPECT_EQ(t_.heap.ScavengeExcess(), ByteCount(0));
  EXPECT_EQ(RunBackground(), ByteCount(0));
  EXPECT_EQ(t_.heap.ready(), MiB(8));
  EXPECT_EQ(t_.heap.ScavengeToLimit(), ByteCount(0));
}

TEST_F(MHeapScavengeTest, TheBackgroundStopsAtTheRetainedGoal) {
  FreeAll(AllocMany(16, kOneMiB));
  PassGenerations();
  t_.heap.SetScavengeGoals({.retained = MiB(5)});
  EXPECT_EQ(t_.heap.ScavengeExcess(), MiB(11));
  const ByteCount released = RunBackground();
  EXPECT_EQ(t_.heap.ready(), MiB(16) - released);
  EXPECT_LE(t_.heap.ready(), MiB(5));
  // The last step may take a huge page as a whole.
  EXPECT_GT(t_.heap.ready(), MiB(3));
  EXPECT_EQ(t_.heap.scavenge_totals().background, released);
}

TEST_F(MHeapScavengeTest, TheBackgroundKeepsBelowTheLimitWithAllThatIsHeld) {
  std::vector<MSpan*> spans = AllocMany(16, kOneMiB);
  FreeAll(spans);
  PassGenerations();
  const ByteCount limit = MiB(10);
  t_.heap.SetScavengeGoals({.limit = limit});
  RunBackground();
  EXPECT_LE(held(), limit / 20 * 19);
  EXPECT_GT(held(), limit / 20 * 19 - MiB(3));
}

TEST_F(MHeapScavengeTest, TheStricterGoalHolds) {
  FreeAll(AllocMany(16, kOneMiB));
  t_.heap.SetScavengeGoals({.retained = MiB(12), .limit = MiB(10)});
  EXPECT_EQ(t_.heap.ScavengeExcess(), held() - MiB(10) / 20 * 19);
  t_.heap.SetScavengeGoals({.retained = MiB(2), .limit = MiB(10)});
  EXPECT_EQ(t_.heap.ScavengeExcess(), MiB(14));
  t_.heap.SetScavengeGoals({});
  EXPECT_EQ(t_.heap.ScavengeExcess(), ByteCount(0));
}

TEST_F(MHeapScavengeTest, WhatIsInUseCannotBeReleased) {
  const std::vector<MSpan*> spans = AllocMany(8, kOneMiB);
  t_.heap.SetScavengeGoals({.retained = MiB(1), .limit = MiB(1)});
  EXPECT_EQ(RunBackground(), ByteCount(0));
  EXPECT_EQ(t_.heap.ScavengeToLimit(), ByteCount(0));
  FreeAll(spans);
}

// Nothing below the goal is taken from who allocates; growth beyond it is paid
// for by pages that lie free in pieces too small to be used.
TEST_F(MHeapScavengeTest, AFragmentedHeapGrowsOnlyByWhatItGivesBack) {
  std::vector<MSpan*> kept;
  std::vector<MSpan*> dropped;
  for (int i = 0; i < 64; ++i) {
    dropped.push_back(Alloc(PageCount(64)));
    kept.push_back(Alloc(PageCount(64)));
  }
  FreeAll(dropped);
  PassGenerations();
  ASSERT_EQ(t_.heap.ready(), MiB(64));
  const ByteCount goal = MiB(70);
  t_.heap.SetScavengeGoals({.retained = goal});
  for (int i = 0; i < 24; ++i) {
    kept.push_back(Alloc(kOneMiB));
    EXPECT_LE(t_.heap.ready(), goal);
    t_.heap.CheckInvariants();
  }
  EXPECT_EQ(t_.heap.mapped(), MiB(64 + 24));
  EXPECT_GE(t_.heap.scavenge_totals().assist, MiB(64 + 24 - 70));
  // No more than was needed, and a huge page.
  EXPECT_LE(t_.heap.scavenge_totals().assist, MiB(64 + 24 - 70 + 2 + 2));
  FreeAll(kept);
}

TEST_F(MHeapScavengeTest, GrowthBelowTheGoalScavengesNothing) {
  FreeAll(AllocMany(8, PageCount(64)));
  t_.heap.SetScavengeGoals({.retained = MiB(100), .limit = MiB(200)});
  FreeAll(AllocMany(20, kOneMiB));
  EXPECT_EQ(t_.heap.scavenge_totals().assist, ByteCount(0));
}

// Without growth, committing scavenged pages again is not the retained goal's
// concern, but the limit's.
TEST_F(MHeapScavengeTest, CommittingIsPaidForAtTheLimitOnly) {
  // Free and ready at the bottom, where runs of 2 MiB do not fit.
  std::vector<MSpan*> kept;
  std::vector<MSpan*> dropped;
  for (int i = 0; i < 8; ++i) {
    dropped.push_back(Alloc(kOneMiB));
    kept.push_back(Alloc(PageCount(16)));
  }
  MSpan* top = Alloc(PageCount(512));
  Free(top);
  t_.heap.FlushPageCache(t_.processor);
  t_.heap.Scavenge(MiB(4));
  FreeAll(dropped);
  PassGenerations();
  const ByteCount ready = t_.heap.ready();
  t_.heap.SetScavengeGoals({.retained = ready});
  MSpan* span = Alloc(2 * kOneMiB);
  EXPECT_EQ(t_.heap.scavenge_totals().assist, ByteCount(0));
  EXPECT_EQ(t_.heap.ready(), ready + MiB(2));
  Free(span);
  t_.heap.Scavenge(MiB(2));
  const ByteCount limit = held() + MiB(1);
  t_.heap.SetScavengeGoals({.limit = limit});
  span = Alloc(2 * kOneMiB);
  EXPECT_LE(held(), limit);
  EXPECT_GE(t_.heap.scavenge_totals().assist, MiB(1));
  Free(span);
  FreeAll(kept);
}

TEST_F(MHeapScavengeTest, AllocationStaysBelowTheLimitWhileItCan) {
  const ByteCount limit = MiB(20);
  t_.heap.SetScavengeGoals({.limit = limit});
  Random random(TestSeed());
  std::vector<MSpan*> spans;
  uint64_t live = 0;
  for (int i = 0; i < 3000; ++i) {
    const PageCount pages(1 + random.Below(100));
    if (live + pages.value() < PagesIn(MiB(16)).value()) {
      spans.push_back(Alloc(pages));
      live += pages.value();
    } else {
      const size_t victim = random.Below(spans.size());
      live -= spans[victim]->pages().value();
      Free(spans[victim]);
      spans[victim] = spans.back();
      spans.pop_back();
    }
    ASSERT_LE(held(), limit) << i;
  }
  EXPECT_GT(t_.heap.scavenge_totals().assist, ByteCount(0));
  FreeAll(spans);
}

// Beyond the limit with all that is in use: allocation goes on.
TEST_F(MHeapScavengeTest, ALimitBelowWhatIsInUseRefusesNothing) {
  t_.heap.SetScavengeGoals({.limit = ByteCount(0)});
  const std::vector<MSpan*> spans = AllocMany(30, PageCount(30));
  EXPECT_EQ(t_.heap.ready(), BytesOf(PageCount(900)));
  FreeAll(spans);
  t_.heap.FlushPageCache(t_.processor);
  t_.heap.ScavengeToLimit();
  EXPECT_EQ(t_.heap.ready(), ByteCount(0));
}

TEST_F(MHeapScavengeTest, ManualSpansLeaveTheDebtToTheNextHeapSpan) {
  std::vector<MSpan*> spans = AllocMany(16, PageCount(64));
  for (size_t i = 0; i < spans.size(); i += 2) Free(spans[i]);
  t_.heap.SetScavengeGoals({.limit = held()});
  const uint64_t calls = t_.os.calls(OsCall::kUnused);
  MSpan* manual = t_.heap.AllocManual(t_.processor, PageCount(600));
  ASSERT_NE(manual, nullptr);
  EXPECT_EQ(t_.os.calls(OsCall::kUnused), calls);
  MSpan* span = Alloc(PageCount(1000));
  EXPECT_GT(t_.os.calls(OsCall::kUnused), calls);
  EXPECT_GE(t_.heap.scavenge_totals().assist, BytesOf(PageCount(512)));
  Free(span);
  for (size_t i = 1; i < spans.size(); i += 2) Free(spans[i]);
  t_.heap.FreeManual(t_.processor, manual);
}

TEST_F(MHeapScavengeTest, TotalsSayWhatWasReleasedWhy) {
  FreeAll(AllocMany(32, kOneMiB));
  PassGenerations();
  t_.heap.SetScavengeGoals({.retained = MiB(24)});
  const ByteCount background = RunBackground();
  t_.heap.SetScavengeGoals({.limit = held() - MiB(2)});
  const ByteCount at_once = t_.heap.ScavengeToLimit();
  const ByteCount forced = t_.heap.Scavenge(MiB(1));
  EXPECT_GE(background, MiB(8));
  EXPECT_GE(at_once, MiB(2));
  EXPECT_GE(forced, MiB(1));
  const ScavengeTotals totals = t_.heap.scavenge_totals();
  EXPECT_EQ(totals.background, background);
  EXPECT_EQ(totals.assist, at_once);
  EXPECT_EQ(totals.forced, forced);
  EXPECT_EQ(t_.heap.ready(), MiB(32) - background - at_once - forced);
}

TEST_F(MHeapHugePagesTest, TheBackgroundLeavesDenseChunksWhole) {
  Fill(4, 1);  // 496 of 512 pages stay in use
  PassGenerations();
  t_.heap.SetScavengeGoals({.retained = ByteCount(0)});
  EXPECT_EQ(t_.heap.ScavengeInBackground(MiB(16)), ByteCount(0));
  EXPECT_EQ(t_.os.calls(OsCall::kUnused), 0u);
  EXPECT_EQ(refused(), 0u);
  // Not so who asks for it.
  EXPECT_EQ(t_.heap.Scavenge(MiB(16)), BytesOf(PageCount(4 * 16)));
  EXPECT_EQ(refused(), 4u);
}

TEST_F(MHeapHugePagesTest, ChunksThatWereDenseHaveOneGenerationOfGrace) {
  Fill(2, 0);
  t_.heap.NextScavengeGeneration();
  Drop(4);
  t_.heap.SetScavengeGoals({.retained = ByteCount(0)});
  EXPECT_EQ(t_.heap.ScavengeInBackground(MiB(16)), ByteCount(0));
  t_.heap.NextScavengeGeneration();
  EXPECT_EQ(t_.heap.ScavengeInBackground(MiB(16)),
            BytesOf(PageCount(2 * 4 * 16)));
  EXPECT_EQ(refused(), 2u);
}

TEST_F(MHeapHugePagesTest, AChunkIsSplitOnceAndJoinedWhenItIsDense) {
  Fill(3, 8);
  const uint64_t at_growth = asked();
  EXPECT_EQ(at_growth, 3u);
  t_.heap.Scavenge(ByteCount(64 << 10));
  t_.heap.Scavenge(ByteCount(64 << 10));
  EXPECT_EQ(refused(), 1u);
  t_.heap.Scavenge(MiB(16));
  EXPECT_EQ(refused(), 3u);
  t_.heap.CheckInvariants();
  // Sparse: they stay as they are.
  EXPECT_EQ(t_.heap.JoinDenseChunks(), 0u);
  EXPECT_EQ(asked(), at_growth);
  Fill(1, 0);  // the holes, three times 8, and a part of a new chunk
  t_.heap.CheckInvariants();
  EXPECT_EQ(t_.heap.JoinDenseChunks(), 3u);
  EXPECT_EQ(t_.heap.JoinDenseChunks(), 0u);
  t_.heap.CheckInvariants();
}

TEST_F(MHeapHugePagesTest, AChunkThatIsGivenBackAsAWholeIsNotSplit) {
  Fill(3, 32);
  EXPECT_TRUE(spans_.empty());
  EXPECT_EQ(t_.heap.Scavenge(MiB(12)), MiB(12));
  EXPECT_EQ(refused(), 0u);
  EXPECT_EQ(asked(), 3u);
}

TEST_F(MHeapHugePagesTest, AChunkIsJoinedWithItsLastPart) {
  Fill(1, 32);
  for (int i = 1; t_.heap.ready() != ByteCount(0); ++i) {
    t_.heap.Scavenge(ByteCount(64 << 10));
    EXPECT_EQ(refused(), 1u);
    EXPECT_EQ(asked(), t_.heap.ready() == ByteCount(0) ? 2u : 1u) << i;
    t_.heap.CheckInvariants();
  }
  // From the start again.
  Fill(1, 16);
  t_.heap.Scavenge(MiB(1));
  EXPECT_EQ(refused(), 2u);
}

// Refused, the last part is still there, and the chunk stays split.
TEST_F(MHeapHugePagesTest, ARefusalLeavesTheChunkSplit) {
  Fill(1, 32);
  t_.heap.Scavenge(MiB(2));
  t_.os.FailOnly(OsCall::kUnused);
  t_.os.FailAfter(1);
  EXPECT_EQ(t_.heap.Scavenge(MiB(2)), ByteCount(0));
  EXPECT_EQ(asked(), 1u);
  EXPECT_EQ(t_.heap.Scavenge(MiB(2)), MiB(2));
  EXPECT_EQ(asked(), 2u);
}

// Calls back in the middle of each release, when the pages are in no span and
// not free.
class OsWithAWitness final : public FakeOsMemory {
 public:
  void CallWhileReleasing(std::function<void()> call) { call_ = call; }
  bool Unused(AddrRange range) override {
    if (call_) call_();
    return FakeOsMemory::Unused(range);
  }

 private:
  std::function<void()> call_;
};

TEST(MHeapReleaseTest, PagesInFlightAreAccountedForAndNotTakenForUsed) {
  OsWithAWitness os;
  MHeapOptions options = SmallHeapOptions();
  options.huge_pages_from = ByteCount(0);
  MHeap heap(os, options);
  ASSERT_TRUE(heap.Init());
  ProcessorCache processor;
  heap.AttachProcessor(processor);
  MSpan* kept = heap.AllocSpan(processor, PageCount(256), LargeClass());
  MSpan* dropped = heap.AllocSpan(processor, PageCount(256), LargeClass());
  ASSERT_TRUE(kept != nullptr && dropped != nullptr);
  heap.FreeSpan(processor, dropped);
  int calls = 0;
  os.CallWhileReleasing([&] {
    ++calls;
    heap.CheckInvariants();
    // The chunk is about to have a hole, whatever its bitmap says now.
    EXPECT_EQ(heap.JoinDenseChunks(), 0u);
  });
  EXPECT_EQ(heap.Scavenge(MiB(4)), MiB(2));
  EXPECT_GT(calls, 0);
  os.CallWhileReleasing(nullptr);
  heap.FreeSpan(processor, kept);
  heap.ReleaseProcessor(processor);
  heap.CheckInvariants();
}

TEST(MHeapHugePagesOptionTest, ChunksNeedNotBeSplit) {
  MHeapOptions options = SmallHeapOptions();
  options.huge_pages_from = ByteCount(0);
  options.split_huge_pages = false;
  TestHeap t(options);
  MSpan* span = t.heap.AllocSpan(t.processor, PageCount(512), LargeClass());
  t.heap.FreeSpan(t.processor, span);
  t.heap.Scavenge(MiB(1));
  EXPECT_EQ(t.os.calls(OsCall::kNoHugePage), 0u);
}

// The k-th call of the OS refuses: what is released and counted agrees, and the
// heap goes on.
TEST(MHeapScavengeFailureTest, EveryCallOfTheOsMayFail) {
  const auto scenario = [](FakeOsMemory& os) {
    MHeap heap(os, SmallHeapOptions());
    ASSERT_TRUE(heap.Init() || heap.Init());
    ProcessorCache processor;
    heap.AttachProcessor(processor);
    const auto alloc = [&](PageCount pages) {
      MSpan* span = heap.AllocSpan(processor, pages, LargeClass());
      heap.CheckInvariants();
      if (span != nullptr) return span;
      return heap.AllocSpan(processor, pages, LargeClass());
    };
    std::vector<MSpan*> spans;
    for (int i = 0; i < 12; ++i) spans.push_back(alloc(PageCount(100)));
    for (size_t i = 0; i < spans.size(); i += 2) {
      ASSERT_NE(spans[i], nullptr);
      heap.FreeSpan(processor, spans[i]);
    }
    heap.NextScavengeGeneration();
    heap.NextScavengeGeneration();
    const ByteCount ready = heap.ready();
    heap.SetScavengeGoals({.retained = ready - ByteCount(1 << 20)});
    ByteCount released;
    for (int i = 0; i < 40; ++i) {
      released += heap.ScavengeInBackground(ByteCount(64 << 10));
      heap.CheckInvariants();
      ASSERT_EQ(heap.ready(), ready - released);
    }
    ASSERT_GE(released, ByteCount(1 << 20));
    // Assists: of growth, and at the limit.
    for (size_t i = 0; i < spans.size(); i += 2) {
      spans[i] = alloc(PageCount(300));
      ASSERT_NE(spans[i], nullptr);
      if (i == 4) heap.SetScavengeGoals({.limit = heap.ready()});
    }
    for (MSpan* span : spans) heap.FreeSpan(processor, span);
    heap.ReleaseProcessor(processor);
    heap.ScavengeToLimit();
    heap.CheckInvariants();
  };
  EXPECT_GT(ForEachOsFailure(scenario), 30u);
  EXPECT_GT(ForEachOsFailure(scenario, {.page_size = ByteCount(64 << 10),
                                        .unused_memory_is_zero = false}),
            30u);
}

TEST(MHeapScavengeFailureTest, ARefusalEndsARequest) {
  TestHeap t;
  MSpan* span = t.heap.AllocSpan(t.processor, PageCount(2048), LargeClass());
  t.heap.FreeSpan(t.processor, span);
  t.os.FailOnly(OsCall::kUnused);
  t.os.FailAfter(3);
  const ByteCount first = t.heap.Scavenge(MiB(16));
  EXPECT_GT(first, ByteCount(0));
  EXPECT_LT(first, MiB(16));
  EXPECT_EQ(t.heap.ready(), MiB(16) - first);
  EXPECT_EQ(t.heap.Scavenge(MiB(16)), MiB(16) - first);
}

}  // namespace
}  // namespace tricolor::mheap
