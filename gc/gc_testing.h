// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// For tests and benchmarks of this floor: objects made by hand on a real page
// heap, roots from a list, and a cycle run on any number of threads.
//
// Test-only. Thread-compatible.

#ifndef TRICOLOR_GC_GC_TESTING_H_
#define TRICOLOR_GC_GC_TESTING_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "tricolor/base/atomic.h"
#include "tricolor/base/check.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/base/units.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/object_layout.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::gc {

inline mheap::MHeapOptions SmallHeap() {
  return {.reservation = ByteCount(uint64_t{1} << 30)};
}

// A page heap and a simple allocator of objects on it.
class TestHeap {
 public:
  // `os` outlives the heap.
  explicit TestHeap(OsMemory& os, const mheap::MHeapOptions& options)
      : heap(os, options) {
    TRICOLOR_CHECK(heap.Init(), "test heap without address space");
    heap.AttachProcessor(processor);
  }
  ~TestHeap() { heap.ReleaseProcessor(processor); }
  TestHeap(const TestHeap&) = delete;
  TestHeap& operator=(const TestHeap&) = delete;

  // Zeroed; null when the heap is exhausted.
  void* TryNew(const TypeInfo& type, uint64_t count = 1) {
    const mheap::LayoutResult result = mheap::LayoutFor(type, count);
    TRICOLOR_CHECK(result.ok, "test object is too large");
    const mheap::ObjectLayout& layout = result.layout;
    mheap::MSpan* span = SpanFor(layout);
    if (span == nullptr) return nullptr;
    const uint32_t index = span->TakeFreeRun(1).first;
    const Addr slot = span->SlotAddress(index);
    if (layout.span_class.is_large()) {
      span->set_large_type(&type);
    } else if (layout.span_class.kind() == mheap::SpanKind::kPointerBitmap) {
      const uint64_t bits = mheap::SlotPointerBits(type, count);
      heap.NotePointerBits(*span, bits);
      span->SetPointerBits(index, bits);
    } else if (layout.span_class.kind() == mheap::SpanKind::kTypeHeader) {
      slot.as<Atomic<const TypeInfo*>>()->StoreRelease(&type);
    }
    return (slot + ByteCount(layout.payload_offset)).pointer();
  }
  void* New(const TypeInfo& type, uint64_t count = 1) {
    void* object = TryNew(type, count);
    TRICOLOR_CHECK(object != nullptr, "test heap is exhausted");
    return object;
  }

  mheap::MSpan& SpanOf(const void* p) const {
    mheap::MSpan* span = heap.HeapSpanOf(Addr(p));
    TRICOLOR_CHECK(span != nullptr, "%p is in no slot", p);
    return *span;
  }
  bool IsMarked(const void* p) const {
    const mheap::MSpan& span = SpanOf(p);
    return span.IsMarked(span.IndexOf(Addr(p)));
  }
  bool HasPageMark(const void* p) const {
    const uint64_t page =
        (SpanOf(p).base() - heap.base()).value() >> kPageShift;
    return ((heap.page_marks_word(page / 64).LoadRelaxed() >> (page % 64)) &
            1) != 0;
  }
  void ClearMarks() {
    heap.ForEachHeapSpan([](mheap::MSpan& span) {
      for (uint32_t i = 0; i * 64 < span.slots(); ++i) {
        span.mark_bits()[i].StoreRelaxed(0);
      }
    });
  }
  // As the sweeper and the cycle's start would: the marks become allocation
  // bits, and all spans get fresh mark bits.
  void Sweep() {
    heap.ForEachHeapSpan([this](mheap::MSpan& span) {
      heap.FinishSweep(span, span.CountMarked());
    });
    TRICOLOR_CHECK(heap.mark_bit_arenas().Rotate(), "no memory for mark bits");
    current_.clear();
  }
  uint64_t CountMarked() const {
    uint64_t marked = 0;
    heap.ForEachHeapSpan(
        [&marked](mheap::MSpan& span) { marked += span.CountMarked(); });
    return marked;
  }
  ByteCount ManualBytes() const {
    return ByteCount(static_cast<uint64_t>(heap.ReadStats().manual_span_bytes));
  }

  mheap::MHeap heap;
  mheap::ProcessorCache processor;

 private:
  mheap::MSpan* SpanFor(const mheap::ObjectLayout& layout) {
    if (layout.span_class.is_large()) {
      return heap.AllocSpan(processor, PagesFor(ByteCount(layout.slot_bytes)),
                            layout.span_class);
    }
    mheap::MSpan*& current = current_[layout.span_class.index()];
    if (current == nullptr || current->full()) {
      current = heap.AllocSpan(processor, layout.span_class);
    }
    return current;
  }

  std::map<uint8_t, mheap::MSpan*> current_;
};

// Root jobs from a list of functions.
class TestRoots final : public RootSource {
 public:
  using Job = std::pair<void (*)(const void*, MarkWorker&), const void*>;

  // The object itself must live as long as the roots are used.
  void AddPointer(const void* p) {
    Add([](const void* object, MarkWorker& worker) { worker.Visit(object); },
        p);
  }
  void AddWord(uintptr_t word) {
    Add(
        [](const void* object, MarkWorker& worker) {
          worker.VisitConservatively(reinterpret_cast<uintptr_t>(object));
        },
        reinterpret_cast<const void*>(word));
  }
  void Clear() { jobs_.clear(); }

  size_t PrepareRoots() override { return jobs_.size(); }
  void MarkRoots(size_t job, MarkWorker& worker) override {
    jobs_[job].first(jobs_[job].second, worker);
  }

 private:
  void Add(void (*function)(const void*, MarkWorker&), const void* object) {
    jobs_.emplace_back(function, object);
  }
  std::vector<Job> jobs_;
};

inline MarkStats RunCycle(Marker& marker, RootSource& roots, int workers) {
  marker.BeginCycle(roots, {.workers = workers});
  std::vector<std::thread> threads;
  for (int i = 1; i < workers; ++i) {
    threads.emplace_back([&marker, i] { marker.RunWorker(i); });
  }
  marker.RunWorker(0);
  for (std::thread& thread : threads) thread.join();
  return marker.EndCycle();
}

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_GC_TESTING_H_
