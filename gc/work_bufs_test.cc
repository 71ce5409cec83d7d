// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/work_bufs.h"

#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/gc/gc_testing.h"

namespace tricolor::gc {
namespace {

constexpr uint64_t kSpanBytes = kWorkBufSpanSize.value();

class WorkBufsTest : public testing::Test {
 protected:
  // Takes whole spans' worth of buffers and leaves them on the empty stack.
  void UseSpans(uint32_t spans) {
    std::vector<WorkBuf*> taken;
    for (uint32_t i = 0; i < spans * WorkBufs::kBufsPerSpan; ++i) {
      taken.push_back(bufs_.GetEmpty());
      ASSERT_NE(taken.back(), nullptr);
    }
    for (WorkBuf* buf : taken) bufs_.PutEmpty(buf);
  }

  FakeOsMemory os_;
  TestHeap heap_{os_, SmallHeap()};
  WorkBufs bufs_{heap_.heap};
};

TEST_F(WorkBufsTest, BuffersOfOneSpanAreDistinctAlignedAndEmpty) {
  bufs_.BeginCycle();
  std::set<WorkBuf*> seen;
  for (uint32_t i = 0; i < 2 * WorkBufs::kBufsPerSpan; ++i) {
    WorkBuf* buf = bufs_.GetEmpty();
    ASSERT_NE(buf, nullptr);
    EXPECT_TRUE(Addr(buf).IsAligned(LfStack::kNodeAlignment));
    EXPECT_EQ(buf->count, 0u);
    EXPECT_TRUE(seen.insert(buf).second);
    for (uint64_t& item : buf->items) item = ~uint64_t{0};
  }
  EXPECT_EQ(bufs_.busy_spans(), 2u);
  EXPECT_EQ(heap_.ManualBytes().value(), 2 * kSpanBytes);
  bufs_.CheckInvariants();
  bufs_.EndCycle();
}

TEST_F(WorkBufsTest, PublishedBuffersComeBackWithTheirItems) {
  bufs_.BeginCycle();
  EXPECT_FALSE(bufs_.HasFull());
  EXPECT_EQ(bufs_.TryGetFull(), nullptr);
  for (uint64_t i = 1; i <= 3; ++i) {
    WorkBuf* buf = bufs_.GetEmpty();
    buf->items[0] = i;
    buf->count = 1;
    bufs_.PutFull(buf);
  }
  EXPECT_TRUE(bufs_.HasFull());
  uint64_t sum = 0;
  while (WorkBuf* buf = bufs_.TryGetFull()) {
    EXPECT_EQ(buf->count, 1u);
    sum += buf->items[0];
    buf->count = 0;
    bufs_.PutEmpty(buf);
  }
  EXPECT_EQ(sum, 6u);
  bufs_.EndCycle();
}

TEST_F(WorkBufsTest, CycleEndFreesAllSpansAtOnceAndTheNextCycleTakesThemFirst) {
  bufs_.BeginCycle();
  UseSpans(5);
  EXPECT_EQ(bufs_.busy_spans(), 5u);
  EXPECT_EQ(bufs_.free_spans(), 0u);
  bufs_.EndCycle();
  EXPECT_EQ(bufs_.busy_spans(), 0u);
  EXPECT_EQ(bufs_.free_spans(), 5u);
  bufs_.CheckInvariants();

  bufs_.BeginCycle();
  UseSpans(3);
  EXPECT_EQ(bufs_.busy_spans(), 3u);
  EXPECT_EQ(bufs_.free_spans(), 2u);
  EXPECT_EQ(heap_.ManualBytes().value(), 5 * kSpanBytes);
  UseSpans(6);
  EXPECT_EQ(bufs_.busy_spans(), 6u);
  EXPECT_EQ(heap_.ManualBytes().value(), 6 * kSpanBytes);
  bufs_.EndCycle();
  EXPECT_EQ(bufs_.free_spans(), 6u);
  bufs_.CheckInvariants();
}

TEST_F(WorkBufsTest, SpansAreGivenBackInBatchesAndOnlyBetweenCycles) {
  constexpr uint32_t kSpans = 2 * WorkBufs::kFreeBatch + 1;
  bufs_.BeginCycle();
  UseSpans(kSpans);
  EXPECT_FALSE(bufs_.FreeSome(heap_.processor));
  bufs_.EndCycle();

  bufs_.BeginCycle();
  EXPECT_FALSE(bufs_.FreeSome(heap_.processor));
  EXPECT_EQ(bufs_.free_spans(), kSpans);
  bufs_.EndCycle();

  EXPECT_TRUE(bufs_.FreeSome(heap_.processor));
  EXPECT_EQ(bufs_.free_spans(), kSpans - WorkBufs::kFreeBatch);
  bufs_.CheckInvariants();
  EXPECT_TRUE(bufs_.FreeSome(heap_.processor));
  EXPECT_FALSE(bufs_.FreeSome(heap_.processor));
  EXPECT_FALSE(bufs_.FreeSome(heap_.processor));
  EXPECT_EQ(heap_.ManualBytes().value(), 0u);
  bufs_.CheckInvariants();
  heap_.heap.CheckInvariants();
}

TEST_F(WorkBufsTest, BatchThatEmptiesTheListSaysSo) {
  bufs_.BeginCycle();
  UseSpans(WorkBufs::kFreeBatch);
  bufs_.EndCycle();
  EXPECT_FALSE(bufs_.FreeSome(heap_.processor));
  EXPECT_EQ(bufs_.free_spans(), 0u);
}

TEST_F(WorkBufsTest, RefusedMemoryIsANullBufferAndFreeSpansStillServe) {
  TestHeap small(os_, {.reservation = ByteCount(64 << 20),
                       .max_mapped = ByteCount(4 << 20)});
  WorkBufs bufs(small.heap);
  bufs.BeginCycle();
  WorkBuf* first = bufs.GetEmpty();
  ASSERT_NE(first, nullptr);
  bufs.PutEmpty(first);
  bufs.EndCycle();
  while (small.heap.AllocManual(small.processor, PageCount(1)) != nullptr) {
  }

  bufs.BeginCycle();
  std::vector<WorkBuf*> taken;
  while (WorkBuf* buf = bufs.GetEmpty()) taken.push_back(buf);
  EXPECT_EQ(taken.size(), WorkBufs::kBufsPerSpan);
  EXPECT_EQ(bufs.busy_spans(), 1u);
  for (WorkBuf* buf : taken) bufs.PutEmpty(buf);
  EXPECT_NE(bufs.GetEmpty(), nullptr);
  bufs.EndCycle();
  bufs.CheckInvariants();
}

TEST_F(WorkBufsTest, NoItemIsLostOrDoubledBetweenThreads) {
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kRounds = 2000;
  bufs_.BeginCycle();
  std::vector<uint64_t> sums(kThreads);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, &sums, t] {
      for (uint64_t i = 1; i <= kRounds; ++i) {
        WorkBuf* buf = bufs_.GetEmpty();
        ASSERT_NE(buf, nullptr);
        ASSERT_EQ(buf->count, 0u);
        buf->items[buf->count++] = t * kRounds + i;
        bufs_.PutFull(buf);
        WorkBuf* full = bufs_.TryGetFull();
        if (full == nullptr) continue;
        sums[t] += full->items[0];
        full->count = 0;
        bufs_.PutEmpty(full);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t sum = 0;
  for (uint64_t s : sums) sum += s;
  while (WorkBuf* buf = bufs_.TryGetFull()) {
    sum += buf->items[0];
    buf->count = 0;
    bufs_.PutEmpty(buf);
  }
  const uint64_t n = kThreads * kRounds;
  EXPECT_EQ(sum, n * (n + 1) / 2);
  bufs_.CheckInvariants();
  bufs_.EndCycle();
}

TEST_F(WorkBufsTest, CycleThatStartsWhileSpansAreGivenBackKeepsItsOwn) {
  for (int round = 0; round < 50; ++round) {
    bufs_.BeginCycle();
    UseSpans(2 * WorkBufs::kFreeBatch);
    bufs_.EndCycle();
    std::thread sweeper([this] {
      mheap::ProcessorCache processor;
      heap_.heap.AttachProcessor(processor);
      while (bufs_.FreeSome(processor)) {
      }
      heap_.heap.ReleaseProcessor(processor);
    });
    bufs_.BeginCycle();
    UseSpans(4);
    bufs_.EndCycle();
    sweeper.join();
    bufs_.CheckInvariants();
  }
  while (bufs_.FreeSome(heap_.processor)) {
  }
  EXPECT_EQ(heap_.ManualBytes().value(), 0u);
}

TEST(WorkBufsDestructorTest, GivesAllSpansBack) {
  FakeOsMemory os;
  TestHeap heap(os, SmallHeap());
  {
    WorkBufs bufs(heap.heap);
    bufs.BeginCycle();
    ASSERT_NE(bufs.GetEmpty(), nullptr);
    bufs.EndCycle();
  }
  EXPECT_EQ(heap.ManualBytes().value(), 0u);
  heap.heap.CheckInvariants();
}

using WorkBufsDeathTest = WorkBufsTest;

TEST_F(WorkBufsDeathTest, FullBufferAtTheEndOfACycleIsFatal) {
  bufs_.BeginCycle();
  WorkBuf* buf = bufs_.GetEmpty();
  buf->count = 1;
  bufs_.PutFull(buf);
  EXPECT_DEATH(bufs_.EndCycle(), "ends with full work buffers");
  (void)bufs_.TryGetFull();
  bufs_.EndCycle();
}

TEST_F(WorkBufsDeathTest, CyclesDoNotNest) {
  EXPECT_DEATH(bufs_.EndCycle(), "cycle running: 0");
  bufs_.BeginCycle();
  EXPECT_DEATH(bufs_.BeginCycle(), "cycle running: 1");
  bufs_.EndCycle();
}

TEST_F(WorkBufsDeathTest, BufferOutsideOfACycleIsFatal) {
  EXPECT_DEATH((void)bufs_.GetEmpty(), "outside of a cycle");
}

}  // namespace
}  // namespace tricolor::gc
