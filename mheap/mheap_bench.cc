// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spans of one page, with and without the processor caches, alone and beside a
// second thread; runs of slots; lookups.

#include <atomic>
#include <cstdint>
#include <vector>

#include "benchmark/benchmark.h"
#include "tricolor/base/check.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::mheap {
namespace {

const SpanClass kClass(SizeClassFor(48), SpanKind::kNoScan);

struct SharedHeap {
  MHeap heap;
  std::atomic<int> users{0};
  explicit SharedHeap(bool caches)
      : heap(ProcessMemory(), {.use_processor_caches = caches}) {
    TRICOLOR_CHECK(heap.Init(), "no memory for the benchmark");
  }
};
// Of the threads of a benchmark; made by the first, destroyed by the last.
SharedHeap* shared = nullptr;

void ReportLocked(benchmark::State& state, const MHeap& heap) {
  const HeapStats stats = heap.ReadStats();
  const auto percent = [](uint64_t part, uint64_t all) {
    return 100 * static_cast<double>(part) / static_cast<double>(all);
  };
  state.counters["alloc_locked_%"] =
      percent(stats.alloc_span_locked, stats.alloc_span_calls);
  state.counters["free_locked_%"] =
      percent(stats.free_span_locked, stats.free_span_calls);
}

// `live` spans of one page are made, then freed, over and over. One item is a
// pair of calls.
void BM_AllocFreeSpan(benchmark::State& state) {
  const bool caches = state.range(0) != 0;
  const auto live = static_cast<size_t>(state.range(1));
  if (state.thread_index() == 0) shared = new SharedHeap(caches);
  std::vector<MSpan*> spans(live);
  ProcessorCache* processor = nullptr;
  for (auto _ : state) {
    if (processor == nullptr) {
      // After the first iteration's barrier: the heap is there.
      processor = new ProcessorCache;
      shared->heap.AttachProcessor(*processor);
      shared->users.fetch_add(1);
    }
    for (MSpan*& span : spans) {
      span = shared->heap.AllocSpan(*processor, kClass);
    }
    for (MSpan* span : spans) shared->heap.FreeSpan(*processor, span);
  }
  state.SetItemsProcessed(static_cast<int64_t>(live) * state.iterations());
  // All threads have had their iterations.
  shared->heap.ReleaseProcessor(*processor);
  delete processor;
  if (shared->users.fetch_sub(1) == 1) {
    ReportLocked(state, shared->heap);
    delete shared;
  }
}
BENCHMARK(BM_AllocFreeSpan)
    ->ArgNames({"caches", "live"})
    ->ArgsProduct({{0, 1}, {1, 512}})
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime();

// One item is a slot; every slot is taken, then all die.
void BM_TakeFreeRun(benchmark::State& state) {
  SharedHeap s(true);
  ProcessorCache processor;
  s.heap.AttachProcessor(processor);
  MSpan* span = s.heap.AllocSpan(processor, kClass);
  MarkWord* fresh = s.heap.mark_bit_arenas().NewMarkBits(span->slots());
  const auto max = static_cast<uint32_t>(state.range(0));
  const bool every_other = state.range(1) != 0;
  int64_t slots = 0;
  for (auto _ : state) {
    for (;;) {
      const SlotRun run = span->TakeFreeRun(max);
      if (run.count == 0) break;
      slots += run.count;
    }
    MarkWord* marks = span->mark_bits();
    for (uint32_t i = 0; i < 3; ++i) fresh[i].StoreRelaxed(0);
    uint32_t marked = 0;
    if (every_other) {
      for (uint32_t i = 0; i < span->slots(); i += 2, ++marked) {
        span->SetMarked(i);
      }
    }
    span->FinishSweep(fresh, marked);
    fresh = marks;
    // Its former allocation bits are the next mark bits.
  }
  state.SetItemsProcessed(slots);
  s.heap.ReleaseProcessor(processor);
}
BENCHMARK(BM_TakeFreeRun)
    ->ArgNames({"max", "holes"})
    ->ArgsProduct({{1, 64, 1024}, {0, 1}});

void BM_HeapSpanOf(benchmark::State& state) {
  SharedHeap s(true);
  ProcessorCache processor;
  s.heap.AttachProcessor(processor);
  constexpr uint64_t kPages = 8192;
  for (uint64_t i = 0; i < kPages; ++i) {
    TRICOLOR_CHECK(s.heap.AllocSpan(processor, kClass) != nullptr,
                   "no memory for the benchmark");
  }
  uint64_t x = 1;
  for (auto _ : state) {
    x = x * 6364136223846793005 + 1442695040888963407;
    const Addr a = s.heap.base() + ByteCount((x >> 33) % (kPages * kPageSize));
    MSpan* span = s.heap.HeapSpanOf(a);
    benchmark::DoNotOptimize(span != nullptr ? span->IndexOf(a) : 0);
  }
  state.SetItemsProcessed(state.iterations());
  s.heap.ReleaseProcessor(processor);
}
BENCHMARK(BM_HeapSpanOf);

void BM_FreshHeap(benchmark::State& state) {
  for (auto _ : state) {
    SharedHeap s(true);
    ProcessorCache processor;
    s.heap.AttachProcessor(processor);
    benchmark::DoNotOptimize(s.heap.AllocSpan(processor, kClass));
    s.heap.ReleaseProcessor(processor);
  }
}
BENCHMARK(BM_FreshHeap);

}  // namespace
}  // namespace tricolor::mheap
