// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What tests of the central lists and of the floors on top of them start from:
// a small page heap on the fake OS with one processor, central lists, a sweeper
// that only keeps count, and hand-made marks.
//
// Test-only. Thread-compatible.

#ifndef TRICOLOR_MCENTRAL_TEST_HEAP_H_
#define TRICOLOR_MCENTRAL_TEST_HEAP_H_

#include <cstdint>
#include <vector>

#include "tricolor/base/check.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/units.h"
#include "tricolor/mcentral/mcentral.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/mheap/shards.h"
#include "tricolor/mheap/span_sweeper.h"

namespace tricolor::mcentral {

// Looks into the sets of one class and shard, which it makes.
class MCentralTestPeer {
 public:
  MCentralTestPeer(MCentrals& centrals, mheap::SpanClass c, uint32_t shard)
      : heap_(centrals.heap_),
        lists_(centrals.MakeLists(centrals.of(c), shard)) {
    TRICOLOR_CHECK(lists_ != nullptr, "no memory for central lists");
  }
  mheap::SpanSet& partial_swept() { return lists_->partial_swept(sg()); }
  mheap::SpanSet& partial_unswept() { return lists_->partial_unswept(sg()); }
  mheap::SpanSet& full_swept() { return lists_->full_swept(sg()); }
  mheap::SpanSet& full_unswept() { return lists_->full_unswept(sg()); }

 private:
  uint32_t sg() const { return heap_.sweep_gen(); }

  mheap::MHeap& heap_;
  CentralLists* lists_;
};

// Sweeps as it is told, and writes down what it was asked for.
class FakeSweeper final : public mheap::SpanSweeper {
 public:
  explicit FakeSweeper(mheap::MHeap& heap) : heap_(heap) {}

  bool Begin(mheap::ProcessorCache&) override {
    if (!open) return false;
    ++depth;
    return true;
  }
  void End(mheap::ProcessorCache&) override { --depth; }
  uint32_t SweepAndKeep(mheap::ProcessorCache&, mheap::MSpan& span) override {
    const uint32_t sg = heap_.sweep_gen();
    TRICOLOR_CHECK(span.sweep_gen() == sg - 1, "fake sweep of generation %u",
                   span.sweep_gen());
    const uint32_t freed = span.allocated() - span.CountMarked();
    heap_.FinishSweep(span, span.CountMarked());
    span.set_sweep_gen(sg);
    swept.push_back(&span);
    return freed;
  }
  void EnsureSwept(mheap::ProcessorCache&, mheap::MSpan&) override {
    Fatal("EnsureSwept is not expected");
  }
  PageCount Reclaim(mheap::ProcessorCache&, PageCount) override {
    return PageCount(0);
  }
  void PayForSpan(mheap::ProcessorCache&, ByteCount bytes) override {
    TRICOLOR_CHECK(depth == 0, "paid between Begin and End");
    paid += bytes;
  }

  bool open = true;
  int depth = 0;
  ByteCount paid;
  std::vector<mheap::MSpan*> swept;

 private:
  mheap::MHeap& heap_;
};

inline FakeOsMemoryOptions TestOsOptions() {
  FakeOsMemoryOptions options;
  options.protect = false;
  return options;
}

inline mheap::MHeapOptions TestHeapOptions() {
  mheap::MHeapOptions options;
  options.reservation = mheap::kArenaSize;
  return options;
}

class TestHeap {
 public:
  explicit TestHeap(const mheap::MHeapOptions& options = TestHeapOptions())
      : os(TestOsOptions()), heap(os, options), initialized_(heap.Init()) {
    TRICOLOR_CHECK(initialized_, "test heap without memory");
    heap.AttachProcessor(processor);
    TRICOLOR_CHECK(centrals.ok(), "test heap without central lists");
  }
  ~TestHeap() { heap.ReleaseProcessor(processor); }
  TestHeap(const TestHeap&) = delete;
  TestHeap& operator=(const TestHeap&) = delete;

  // Plays the cache: takes a span as a cache would, or gives it back.
  mheap::MSpan* Cache(mheap::SpanClass c) {
    mheap::MSpan* span = centrals.of(c).CacheSpan(processor);
    if (span != nullptr) span->set_sweep_gen(heap.sweep_gen() + 3);
    return span;
  }
  void Uncache(mheap::MSpan* span) {
    centrals.of(span->span_class()).UncacheSpan(processor, *span);
  }
  // A span of which `used` slots have been allocated, given back.
  mheap::MSpan* Listed(mheap::SpanClass c, uint32_t used) {
    mheap::MSpan* span = heap.AllocSpan(processor, c);
    if (span == nullptr) return nullptr;
    span->set_sweep_gen(heap.sweep_gen() + 3);
    Take(span, used);
    Uncache(span);
    return span;
  }
  static void Take(mheap::MSpan* span, uint32_t slots) {
    while (slots > 0) {
      const uint32_t taken = span->TakeFreeRun(slots).count;
      TRICOLOR_CHECK(taken > 0, "span is full, %u slots missing", slots);
      slots -= taken;
    }
  }
  // The next unswept span that is listed, or null; unlinks it.
  mheap::MSpan* PopUnswept() {
    mheap::MSpan* span = nullptr;
    for (uint32_t i = 0; i < mheap::kShards && span == nullptr; ++i) {
      uint32_t place = 0;
      span = centrals.PopUnswept(i, &place);
    }
    return span;
  }
  // The marker: the span and its page.
  void Mark(mheap::MSpan* span, uint32_t index) {
    span->SetMarked(index);
    const uint64_t page = PagesIn(span->base() - heap.base()).value();
    heap.page_marks_word(page / 64).FetchOrRelaxed(uint64_t{1} << (page % 64));
  }

  FakeOsMemory os;
  mheap::MHeap heap;

 private:
  const bool initialized_;

 public:
  mheap::ProcessorCache processor;
  MCentrals centrals{heap};
};

}  // namespace tricolor::mcentral

#endif  // TRICOLOR_MCENTRAL_TEST_HEAP_H_
