// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cycles with memory refused at every single call of the OS, and from every
// call on: spans that no set has memory for are swept and listed all the same
// by the next cycle, and nothing is lost.

#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::sweep {
namespace {

using mcentral::TestHeap;
using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;
using mheap::SpanState;
using mheap::Special;

constexpr SpanClass kClass(mheap::SizeClassFor(512), SpanKind::kNoScan);
constexpr uint32_t kSlots = mheap::kClassSlots[kClass.size_class()];
constexpr SpanClass kLarge(0, SpanKind::kNoScan);
constexpr ByteCount kPiece{512};

class NoSpecials final : public mheap::SpecialReceiver {
 public:
  void TakeDead(Special*) override { Fatal("no specials are expected"); }
};

class SweeperFailureTest : public testing::Test {
 protected:
  SweeperFailureTest() { t_.heap.set_sweeper(&sweeper_); }
  ~SweeperFailureTest() override { Check(); }

  void Check() {
    sweeper_.CheckInvariants();
    t_.centrals.CheckInvariants();
    t_.heap.CheckInvariants();
  }

  // From now on there is no memory for a block of a span set.
  void RefuseMemory() {
    t_.os.FailFrom(1);
    while (t_.heap.metadata().Allocate(kPiece, 8) != nullptr) {
    }
  }
  // Leaves so little memory that the next block wants a call of the OS.
  void UseUpMemory() {
    PersistentAlloc& memory = t_.heap.metadata();
    const ByteCount before = memory.bytes_from_os();
    while (memory.bytes_from_os() == before) {
      ASSERT_NE(memory.Allocate(kPiece, 8), nullptr);
    }
    const uint64_t pieces = PersistentAlloc::kChunkSize / kPiece - 2;
    for (uint64_t i = 0; i < pieces; ++i) {
      ASSERT_NE(memory.Allocate(kPiece, 8), nullptr);
    }
  }
  bool StartCycle() {
    if (!t_.heap.mark_bit_arenas().Rotate()) return false;
    t_.heap.ClearPageMarks();
    return true;
  }
  // Finds nothing that an allocation could have had.
  uint64_t Listed(SpanClass c) {
    std::vector<MSpan*> spans;
    const uint64_t pages = t_.heap.pages_in_use().value();
    for (;;) {
      MSpan* span = t_.Cache(c);
      if (t_.heap.pages_in_use().value() != pages) {
        t_.Uncache(span);
        break;
      }
      spans.push_back(span);
    }
    for (MSpan* span : spans) t_.Uncache(span);
    return spans.size();
  }

  TestHeap t_;
  NoSpecials receiver_;
  Sweeper sweeper_{t_.heap, t_.centrals, receiver_};
};

TEST_F(SweeperFailureTest, SpansThatCannotBeListedAreSweptByTheNextCycle) {
  std::vector<MSpan*> spans;
  for (int i = 0; i < 40; ++i) {
    spans.push_back(t_.heap.AllocSpan(t_.processor, kClass));
  }
  MSpan* large = t_.heap.AllocSpan(t_.processor, PageCount(9), kLarge);
  RefuseMemory();
  TestHeap::Take(large, 1);
  t_.centrals.of(kLarge).PushSwept(*large);
  for (MSpan* span : spans) {
    TestHeap::Take(span, 3);
    t_.centrals.of(kClass).PushSwept(*span);
  }
  t_.os.StopFailing();
  Check();
  EXPECT_EQ(Listed(kClass), 0u);
  ASSERT_TRUE(StartCycle());
  for (size_t i = 0; i < spans.size(); i += 2) t_.Mark(spans[i], 1);
  t_.Mark(large, 0);
  sweeper_.StartPhase();
  sweeper_.SweepAll(t_.processor);
  Check();
  for (size_t i = 0; i < spans.size(); ++i) {
    EXPECT_EQ(spans[i]->state(),
              i % 2 == 0 ? SpanState::kInUse : SpanState::kDead);
    if (i % 2 == 0) EXPECT_EQ(spans[i]->allocated(), 1u);
  }
  EXPECT_EQ(Listed(kClass), 20u);
  // And so is what died later.
  ASSERT_TRUE(StartCycle());
  sweeper_.StartPhase();
  sweeper_.SweepAll(t_.processor);
  EXPECT_EQ(t_.heap.pages_in_use(), PageCount(0));
}

TEST_F(SweeperFailureTest, UnlistedSpansSurviveAnyNumberOfCycles) {
  MSpan* span = t_.heap.AllocSpan(t_.processor, kClass);
  MSpan* full = t_.heap.AllocSpan(t_.processor, kClass);
  // Arenas for mark bits, three epochs of them.
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(StartCycle());
    t_.heap.AdvanceSweepGen();
    for (MSpan* s : {span, full}) {
      t_.heap.FinishSweep(*s, 0);
      s->set_sweep_gen(t_.heap.sweep_gen());
    }
  }
  TestHeap::Take(span, 1);
  TestHeap::Take(full, kSlots);
  RefuseMemory();
  for (MSpan* s : {span, full}) t_.centrals.of(kClass).PushSwept(*s);
  for (int cycle = 0; cycle < 5; ++cycle) {
    ASSERT_TRUE(StartCycle());
    t_.Mark(span, 0);
    for (uint32_t i = 0; i < kSlots; ++i) t_.Mark(full, i);
    sweeper_.StartPhase();
    sweeper_.SweepAll(t_.processor);
    Check();
  }
  EXPECT_EQ(span->allocated(), 1u);
  EXPECT_TRUE(full->full());
}

TEST_F(SweeperFailureTest, ReclaimAndEnsureSweptReachUnlistedSpans) {
  MSpan* dead = t_.heap.AllocSpan(t_.processor, kClass);
  MSpan* live = t_.heap.AllocSpan(t_.processor, kClass);
  RefuseMemory();
  for (MSpan* s : {dead, live}) {
    TestHeap::Take(s, 1);
    t_.centrals.of(kClass).PushSwept(*s);
  }
  t_.os.StopFailing();
  ASSERT_TRUE(StartCycle());
  t_.Mark(live, 0);
  sweeper_.StartPhase();
  EXPECT_EQ(sweeper_.Reclaim(t_.processor, PageCount(1)), dead->pages());
  sweeper_.EnsureSwept(t_.processor, *live);
  EXPECT_EQ(live->sweep_gen(), t_.heap.sweep_gen());
  sweeper_.SweepAll(t_.processor);
}

// A large span, then a small one eight pieces away, both on no list.
class FarApartTest : public SweeperFailureTest {
 protected:
  static constexpr uint64_t kPages = 8 * Sweeper::kClaimedWords * 64;

  FarApartTest() {
    large_ = t_.heap.AllocSpan(t_.processor, PageCount(kPages), kLarge);
    last_ = t_.heap.AllocSpan(t_.processor, kClass);
    TRICOLOR_CHECK(
        last_->base() - large_->base() == BytesOf(PageCount(kPages)) &&
            large_->base() == t_.heap.base(),
        "the spans are elsewhere");
    RefuseMemory();
    for (MSpan* s : {large_, last_}) {
      TestHeap::Take(s, 1);
      t_.centrals.of(s->span_class()).PushSwept(*s);
    }
    t_.os.StopFailing();
    TRICOLOR_CHECK(StartCycle(), "no cycle");
    t_.Mark(large_, 0);
    sweeper_.StartPhase();
  }
  uint64_t swept() const { return t_.heap.ReadStats().spans_swept; }

  MSpan* large_;
  MSpan* last_;
};

TEST_F(FarApartTest, OneCallLooksForUnlistedSpansInOnePieceOnly) {
  for (int piece = 0; piece < 8; ++piece) {
    EXPECT_EQ(sweeper_.SweepOne(t_.processor), PageCount(0));
    EXPECT_EQ(swept(), 1u);
  }
  EXPECT_EQ(sweeper_.SweepOne(t_.processor), PageCount(kClass.pages()));
  EXPECT_EQ(swept(), 2u);
  sweeper_.SweepAll(t_.processor);
}

TEST_F(FarApartTest, WhoPaysDoesNotSearchTheWholeHeap) {
  sweeper_.SetPace(ByteCount(kPageSize), t_.heap.pages_in_use());
  sweeper_.PayForSpan(t_.processor, ByteCount(kPageSize));
  EXPECT_EQ(swept(), 1u);
  EXPECT_FALSE(sweeper_.Done());
  // The next one goes on where this one gave up.
  sweeper_.PayForSpan(t_.processor, ByteCount(kPageSize));
  EXPECT_EQ(swept(), 2u);
  sweeper_.SweepAll(t_.processor);
}

TEST_F(SweeperFailureTest, ManySweepersSweepEachUnlistedSpanOnce) {
  for (int round = 0; round < 20; ++round) {
    constexpr uint64_t kSpans = 3000;
    std::vector<MSpan*> spans;
    for (uint64_t i = 0; i < kSpans; ++i) {
      spans.push_back(t_.heap.AllocSpan(t_.processor, kClass));
      TestHeap::Take(spans.back(), 1);
    }
    RefuseMemory();
    // The first ones fill the blocks that the pool has.
    for (MSpan* s : spans) t_.centrals.of(kClass).PushSwept(*s);
    t_.os.StopFailing();
    ASSERT_TRUE(StartCycle());
    for (size_t i = 0; i < spans.size(); i += 3) t_.Mark(spans[i], 0);
    const uint64_t before = t_.heap.ReadStats().spans_swept;
    sweeper_.StartPhase();
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([this, t] {
        mheap::ProcessorCache processor;
        t_.heap.AttachProcessor(processor);
        if (t == 0) sweeper_.Reclaim(processor, PageCount(100));
        sweeper_.SweepAll(processor);
        t_.heap.ReleaseProcessor(processor);
      });
    }
    for (std::thread& thread : threads) thread.join();
    Check();
    EXPECT_EQ(t_.heap.ReadStats().spans_swept - before, kSpans);
    EXPECT_EQ(t_.heap.pages_in_use().value(), kSpans / 3);
    ASSERT_TRUE(StartCycle());
    sweeper_.StartPhase();
    sweeper_.SweepAll(t_.processor);
    EXPECT_EQ(t_.heap.pages_in_use(), PageCount(0));
  }
}

// Whole cycles. What is asked for in vain is left out.
class CycleTest : public SweeperFailureTest {
 public:
  void Run() {
    for (int cycle = 0; cycle < 4; ++cycle) {
      Allocate(12);
      Check();
      const bool begun = StartCycle();
      Check();
      if (!begun) continue;
      Allocate(4);  // while it marks
      for (MSpan* span : live_) t_.Mark(span, 0);
      sweeper_.StartPhase();
      Drop();
      for (int i = 0; i < 3; ++i) sweeper_.SweepOne(t_.processor);
      Allocate(8);  // while it sweeps
      sweeper_.SweepAll(t_.processor);
      Check();
    }
  }
  TestHeap& heap() { return t_; }
  void Prepare() { UseUpMemory(); }

 private:
  void TestBody() override {}

  void Allocate(int count) {
    for (int i = 0; i < count; ++i) {
      MSpan* span = i % 4 == 0 ? AllocateLarge() : AllocateSmall(i);
      if (span != nullptr && i % 3 == 0) live_.push_back(span);
    }
  }
  MSpan* AllocateLarge() {
    MSpan* span = t_.heap.AllocSpan(t_.processor, PageCount(3), kLarge);
    if (span == nullptr) return nullptr;
    TestHeap::Take(span, 1);
    t_.centrals.of(kLarge).PushSwept(*span);
    return span;
  }
  MSpan* AllocateSmall(int i) {
    const size_t size = size_t{8} << (i % 8);
    const SpanClass c(mheap::SizeClassFor(size), SpanKind::kNoScan);
    MSpan* span = t_.Cache(c);
    if (span == nullptr) return nullptr;
    TestHeap::Take(span, i % 2 == 0 ? 1 : c.slots() - span->allocated());
    t_.Uncache(span);
    return span;
  }
  // Half of what lives is garbage in the next cycle. A span may be there twice.
  void Drop() {
    for (size_t i = 0; i < live_.size(); ++i) {
      live_[i] = live_.back();
      live_.pop_back();
    }
  }

  std::vector<MSpan*> live_;
};

TEST(SweeperCycleFailureTest, EachCallOfTheOsMayFail) {
  for (const bool tight : {false, true}) {
    uint64_t k = 0;
    for (bool failed = true; failed;) {
      CycleTest test;
      if (tight) test.Prepare();
      test.heap().os.FailAfter(++k);
      test.Run();
      failed = test.heap().os.failures() != 0;
      test.heap().os.StopFailing();
    }
    EXPECT_GT(k, 20u);
  }
}

TEST(SweeperCycleFailureTest, AllCallsOfTheOsMayFailFromAnyOn) {
  for (const bool tight : {false, true}) {
    uint64_t k = 0;
    for (bool failed = true; failed;) {
      CycleTest test;
      if (tight) test.Prepare();
      test.heap().os.FailFrom(++k);
      test.Run();
      failed = test.heap().os.failures() != 0;
      test.heap().os.StopFailing();
    }
    EXPECT_GT(k, 20u);
  }
}

}  // namespace
}  // namespace tricolor::sweep
