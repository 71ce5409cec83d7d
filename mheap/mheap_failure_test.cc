// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory refused at every single call of the OS: a value, and nothing broken.

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/mheap/asan.h"
#include "tricolor/mheap/mheap_testing.h"

namespace tricolor::mheap {
namespace {

// Writes a word, where zero is promised. Does not take slots: zeroing large
// ones over and over would be most of the test.
void Touch(MSpan& span) {
  AsanUnpoison(span.base(), span.bytes());
  uint64_t* last = (span.limit() - ByteCount(8)).as<uint64_t>();
  EXPECT_TRUE(span.needs_zero() || *last == 0);
  *last = 1;
}

// Each call that comes to nothing succeeds when it is repeated, because only
// one call of the OS fails. No span has more than `largest` pages.
void RunScenario(FakeOsMemory& os, PageCount largest) {
  MHeap heap(os, SmallHeapOptions());
  ASSERT_TRUE(heap.Init() || heap.Init());
  ProcessorCache processor;
  heap.AttachProcessor(processor);
  std::vector<MSpan*> spans;
  const auto alloc = [&](PageCount pages, SpanClass c, PageCount alignment) {
    const PageCount before = heap.pages_in_use();
    MSpan* span = heap.AllocSpan(processor, pages, c, alignment);
    heap.CheckInvariants();
    if (span == nullptr) {
      EXPECT_EQ(heap.pages_in_use(), before);
      span = heap.AllocSpan(processor, pages, c, alignment);
    }
    ASSERT_NE(span, nullptr);
    Touch(*span);
    spans.push_back(span);
  };
  const auto free_all = [&] {
    for (MSpan* span : spans) heap.FreeSpan(processor, span);
    spans.clear();
    heap.CheckInvariants();
  };
  for (int round = 0; round < 2; ++round) {
    for (const size_t size : {8u, 1408u, 28672u}) {
      const SpanClass c = ClassFor(size);
      alloc(PageCount(c.pages()), c, PageCount(1));
    }
    alloc(PageCount(700), LargeClass(), PageCount(1));
    alloc(PageCount(9), LargeClass(), PageCount(1024));
    alloc(largest, LargeClass(), PageCount(1));
    MSpan* manual = heap.AllocManual(processor, PageCount(20));
    if (manual == nullptr) manual = heap.AllocManual(processor, PageCount(20));
    ASSERT_NE(manual, nullptr);
    free_all();
    heap.Scavenge(ByteCount(1 << 20));
    heap.CheckInvariants();
    // Runs of which only a part has been scavenged.
    alloc(largest / 2, LargeClass(), PageCount(1));
    alloc(largest / 3, LargeClass(), PageCount(1));
    free_all();
    heap.FlushPageCache(processor);
    heap.Scavenge(ByteCount(uint64_t{1} << 40));
    heap.CheckInvariants();
    heap.FreeManual(processor, manual);
  }
  heap.ReleaseProcessor(processor);
  heap.CheckInvariants();
}

TEST(MHeapFailureTest, EveryCallOfTheOsMayFail) {
  const uint64_t failures = ForEachOsFailure(
      [](FakeOsMemory& os) { RunScenario(os, kArenaPages + PageCount(1000)); });
  EXPECT_GT(failures, 40u);
}

TEST(MHeapFailureTest, EveryCallOfAnOsWithLargePagesAndJunkMayFail) {
  ForEachOsFailure(
      // The junk makes all of these pages real.
      [](FakeOsMemory& os) { RunScenario(os, PageCount(1000)); },
      {.page_size = ByteCount(64 << 10), .unused_memory_is_zero = false});
}

TEST(MHeapFailureTest, AllCallsMayFailFromSomeCallOn) {
  for (uint64_t k = 1; k < 60; ++k) {
    FakeOsMemory os;
    MHeap heap(os, SmallHeapOptions());
    os.FailFrom(k);
    if (!heap.Init()) continue;
    ProcessorCache processor;
    heap.AttachProcessor(processor);
    std::vector<MSpan*> spans;
    for (int i = 0; i < 300; ++i) {
      MSpan* span = heap.AllocSpan(processor, ClassFor(8192));
      if (span != nullptr) spans.push_back(span);
    }
    heap.CheckInvariants();
    for (MSpan* span : spans) heap.FreeSpan(processor, span);
    heap.ReleaseProcessor(processor);
    heap.CheckInvariants();
  }
}

// Cycles over spans with bitmaps of all lengths, nearly as many made while the
// cycle marks as before.
struct CycleOptions {
  int spans = 800;  // bitmaps of more than an arena
  // While the cycle marks, calls of the OS fail from this one on, if it is not
  // 0; while it sweeps, all do.
  bool refuse = true;
  uint64_t refuse_from = 0;
};

void RunCycles(FakeOsMemory& os, const CycleOptions& options) {
  MHeap heap(os, SmallHeapOptions());
  if (!heap.Init()) return;
  ProcessorCache processor;
  heap.AttachProcessor(processor);
  std::vector<MSpan*> spans;
  const auto alloc = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const size_t size = i % 5 == 0 ? 512 : 8;
      MSpan* span = i % 7 == 0
                        ? heap.AllocSpan(processor, PageCount(5), LargeClass())
                        : heap.AllocSpan(processor, ClassFor(size));
      if (span != nullptr) spans.push_back(span);
    }
  };
  for (int cycle = 0; cycle < 3; ++cycle) {
    alloc(options.spans);
    const bool rotated = heap.mark_bit_arenas().Rotate();
    heap.CheckInvariants();
    if (!rotated) continue;
    if (options.refuse_from != 0) os.FailFrom(options.refuse_from);
    alloc(options.spans - 10);
    heap.CheckInvariants();
    heap.AdvanceSweepGen();
    if (options.refuse) os.FailFrom(1);
    for (size_t i = 0; i < spans.size(); ++i) {
      if (i == spans.size() / 2) heap.CheckInvariants();
      MSpan& span = *spans[i];
      span.SetMarked(0);
      if (span.allocated() == 0) EXPECT_EQ(span.TakeFreeRun(1).count, 1u);
      Sweep(heap, span);
      EXPECT_EQ(span.allocated(), 1u);
    }
    if (options.refuse) os.StopFailing();
    heap.CheckInvariants();
  }
  for (MSpan* span : spans) heap.FreeSpan(processor, span);
  heap.ReleaseProcessor(processor);
  heap.CheckInvariants();
}

TEST(MHeapFailureTest, SweepingNeedsNothingOfTheOs) {
  FakeOsMemory os;
  RunCycles(os, {});
  for (uint64_t k = 1; k < 8; ++k) {
    FakeOsMemory refusing;
    RunCycles(refusing, {.refuse_from = k});
  }
}

TEST(MHeapFailureTest, EachCallOfACycleMayFail) {
  const uint64_t failures = ForEachOsFailure(
      [](FakeOsMemory& os) { RunCycles(os, {.spans = 30, .refuse = false}); });
  EXPECT_GT(failures, 10u);
}

// The pages of the window keep their scavenged bits, one by one.
TEST(MHeapFailureTest, RefusedPagesOfThePageCacheStayWhatTheyWere) {
  TestHeap t;
  MSpan* span = t.heap.AllocManual(t.processor, PageCount(1));
  const HeapStats before = t.heap.ReadStats();
  t.os.FailOnly(OsCall::kUsed);
  t.os.FailAfter(1);
  EXPECT_EQ(t.heap.AllocSpan(t.processor, ClassFor(28672)), nullptr);
  EXPECT_EQ(t.heap.ReadStats().released_bytes, before.released_bytes);
  t.heap.CheckInvariants();
  MSpan* again = t.heap.AllocSpan(t.processor, ClassFor(28672));
  ASSERT_NE(again, nullptr);
  EXPECT_FALSE(again->needs_zero());
  t.heap.FreeManual(t.processor, span);
}

}  // namespace
}  // namespace tricolor::mheap
