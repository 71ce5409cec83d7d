// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The allocation paths. BM_New_* keep a window of objects alive by hand: after
// each window a sweep finds everything dead, which is the collector's best
// case; BM_MallocFree_* is what it costs with malloc.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tricolor/base/check.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/mcache/allocate-inl.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/mcentral/mcentral.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::mcache {
namespace {

using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;

constexpr uint64_t kPointers[] = {0b101};

template <size_t kSize>
inline constexpr TypeInfo kNoScanType{.size = kSize, .align = 8};
template <size_t kSize>
inline constexpr TypeInfo kBitmapType{.size = kSize,
                                      .align = 8,
                                      .tracing = TypeInfo::Tracing::kBitmap,
                                      .pointer_words = 2,
                                      .bitmap = kPointers};
template <size_t kSize>
inline constexpr TypeInfo kHeaderType{
    .size = kSize, .align = 8, .tracing = TypeInfo::Tracing::kConservative};

class NoObserver final : public AllocationObserver {
 public:
  void HeapLiveChanged(int64_t) override {}
};

// Sweeps spans that are handed to it; nothing is ever marked.
class NothingLives final : public mheap::SpanSweeper {
 public:
  explicit NothingLives(mheap::MHeap& heap) : heap_(heap) {}
  bool Begin(mheap::ProcessorCache&) override { return true; }
  void End(mheap::ProcessorCache&) override {}
  uint32_t SweepAndKeep(mheap::ProcessorCache&, MSpan& span) override {
    const uint32_t freed = span.allocated();
    heap_.FinishSweep(span, 0);
    span.set_sweep_gen(heap_.sweep_gen());
    return freed;
  }
  void EnsureSwept(mheap::ProcessorCache&, MSpan&) override {}
  PageCount Reclaim(mheap::ProcessorCache&, PageCount) override {
    return PageCount(0);
  }
  void PayForSpan(mheap::ProcessorCache&, ByteCount) override {}

 private:
  mheap::MHeap& heap_;
};

struct Setup {
  Setup() : initialized(heap.Init()) {
    heap.AttachProcessor(processor);
    heap.set_sweeper(&sweeper);
  }
  ~Setup() {
    cache.PrepareForSweep();
    cache.ReleaseAll();
    heap.ReleaseProcessor(processor);
  }

  // A cycle that finds nothing alive.
  void StartCycle() {
    cache.ParkRuns();
    TRICOLOR_CHECK(heap.mark_bit_arenas().Rotate(), "no memory for mark bits");
    heap.AdvanceSweepGen();
    cache.PrepareForSweep();
  }

  mheap::MHeap heap{ProcessMemory()};
  const bool initialized;
  NothingLives sweeper{heap};
  mcentral::MCentrals centrals{heap};
  mheap::ProcessorCache processor;
  NoObserver observer;
  MCache cache{heap, centrals, processor, observer};
};

// Objects between two cycles: 4 MiB, as much as Go's smallest heap.
constexpr int64_t WindowOf(size_t size) {
  return static_cast<int64_t>((size_t{4} << 20) / size);
}

template <const TypeInfo& kType>
void AllocateAll(benchmark::State& state) {
  Setup setup;
  const int64_t window = WindowOf(kType.size);
  int64_t left = window;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        AllocateFixed<FixedLayoutFor(kType)>(setup.cache, kType));
    if (--left == 0) {
      left = window;
      setup.StartCycle();
    }
  }
  state.SetItemsProcessed(state.iterations());
}

template <size_t kSize>
void BM_New_NoScan(benchmark::State& state) {
  AllocateAll<kNoScanType<kSize>>(state);
}
template <size_t kSize>
void BM_New_Bitmap(benchmark::State& state) {
  AllocateAll<kBitmapType<kSize>>(state);
}
template <size_t kSize>
void BM_New_Header(benchmark::State& state) {
  AllocateAll<kHeaderType<kSize>>(state);
}
BENCHMARK(BM_New_NoScan<16>);
BENCHMARK(BM_New_NoScan<64>);
BENCHMARK(BM_New_NoScan<512>);
BENCHMARK(BM_New_Bitmap<16>);
BENCHMARK(BM_New_Bitmap<48>);
BENCHMARK(BM_New_Bitmap<64>);
BENCHMARK(BM_New_Bitmap<512>);
BENCHMARK(BM_New_Header<64>);
BENCHMARK(BM_New_Header<1024>);

template <size_t kSize>
void BM_MallocFree(benchmark::State& state) {
  for (auto _ : state) {
    void* p = std::malloc(kSize);
    benchmark::DoNotOptimize(p);
    std::free(p);
  }
}
BENCHMARK(BM_MallocFree<16>);
BENCHMARK(BM_MallocFree<64>);
BENCHMARK(BM_MallocFree<512>);

// As the collector's case: 4 MiB of objects, zeroed, and then all are freed.
template <size_t kSize>
void BM_CallocWindowFree(benchmark::State& state) {
  std::vector<void*> window(static_cast<size_t>(WindowOf(kSize)));
  size_t n = 0;
  for (auto _ : state) {
    window[n] = std::calloc(1, kSize);
    if (++n == window.size()) {
      for (void* p : window) std::free(p);
      n = 0;
    }
  }
  for (size_t i = 0; i < n; ++i) std::free(window[i]);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_CallocWindowFree<16>);
BENCHMARK(BM_CallocWindowFree<64>);
BENCHMARK(BM_CallocWindowFree<512>);

// The general way, with a type that is known only at run time.
void BM_Allocate_DynamicType(benchmark::State& state) {
  Setup setup;
  const TypeInfo* type = &kBitmapType<64>;
  benchmark::DoNotOptimize(type);
  int64_t left = WindowOf(64);
  for (auto _ : state) {
    benchmark::DoNotOptimize(setup.cache.Allocate(*type, 1));
    if (--left == 0) {
      left = WindowOf(64);
      setup.StartCycle();
    }
  }
}
BENCHMARK(BM_Allocate_DynamicType);

// Two types of one class take turns, so that every second object writes its
// pointer bits by itself.
void BM_New_TwoTypesOfOneClass(benchmark::State& state) {
  Setup setup;
  int64_t left = WindowOf(64);
  for (auto _ : state) {
    benchmark::DoNotOptimize(AllocateFixed<FixedLayoutFor(kBitmapType<64>)>(
        setup.cache, kBitmapType<64>));
    benchmark::DoNotOptimize(AllocateFixed<FixedLayoutFor(kBitmapType<56>)>(
        setup.cache, kBitmapType<56>));
    if ((left -= 2) == 0) {
      left = WindowOf(64);
      setup.StartCycle();
    }
  }
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(BM_New_TwoTypesOfOneClass);

void BM_AllocateTiny(benchmark::State& state) {
  Setup setup;
  int64_t left = WindowOf(8);
  for (auto _ : state) {
    benchmark::DoNotOptimize(setup.cache.AllocateTiny(8, 8));
    if (--left == 0) {
      left = WindowOf(8);
      setup.StartCycle();
    }
  }
}
BENCHMARK(BM_AllocateTiny);

void BM_AllocateLarge(benchmark::State& state) {
  Setup setup;
  const TypeInfo type{.size = static_cast<size_t>(state.range(0)), .align = 8};
  for (auto _ : state) {
    void* object = setup.cache.Allocate(type, 1);
    MSpan* span = setup.heap.HeapSpanOf(Addr(object));
    // Its entry in the set stays; it is as one that has been swept elsewhere.
    setup.heap.FreeSpan(setup.processor, span);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_AllocateLarge)->Arg(64 << 10)->Arg(1 << 20)->Iterations(20000);

// A fresh span: from the page heap to the first object.
void BM_Refill(benchmark::State& state) {
  Setup setup;
  constexpr SpanClass kClass(mheap::SizeClassFor(8192), SpanKind::kNoScan);
  int64_t left = WindowOf(8192);
  for (auto _ : state) {
    benchmark::DoNotOptimize(setup.cache.AllocateSlow(kClass));
    if (--left == 0) {
      left = WindowOf(8192);
      state.PauseTiming();
      setup.StartCycle();
      state.ResumeTiming();
    }
  }
}
BENCHMARK(BM_Refill);

// A flush after a cycle, with a span of each of so many classes.
void BM_Flush(benchmark::State& state) {
  Setup setup;
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 1; i <= state.range(0); ++i) {
      const SpanClass c(static_cast<uint8_t>(i), SpanKind::kNoScan);
      benchmark::DoNotOptimize(setup.cache.AllocateSlow(c));
    }
    setup.cache.ParkRuns();
    TRICOLOR_CHECK(setup.heap.mark_bit_arenas().Rotate(),
                   "no memory for mark bits");
    setup.heap.AdvanceSweepGen();
    state.ResumeTiming();
    setup.cache.PrepareForSweep();
  }
}
BENCHMARK(BM_Flush)->Arg(0)->Arg(1)->Arg(10)->Arg(30)->Iterations(20000);

}  // namespace
}  // namespace tricolor::mcache
