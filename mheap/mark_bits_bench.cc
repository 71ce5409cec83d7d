// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MarkBitArenas: what a sweeper pays for the bits of one span, zeroed.

#include <cstdint>

#include "benchmark/benchmark.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/mheap/mark_bits.h"

namespace tricolor::mheap {
namespace {

// Spans of one cycle: 64 MiB of heap in spans of one page.
constexpr int kSpansPerCycle = 8192;

// The argument is the number of objects of a span.
void BM_NewMarkBits(benchmark::State& state) {
  PersistentAlloc memory(ProcessMemory());
  MarkBitArenas arenas(memory);
  const uint32_t objects = static_cast<uint32_t>(state.range(0));
  int left = kSpansPerCycle;
  for (auto _ : state) {
    benchmark::DoNotOptimize(arenas.NewMarkBits(objects));
    if (--left == 0) {
      benchmark::DoNotOptimize(arenas.Rotate());
      left = kSpansPerCycle;
    }
  }
  state.counters["arenas"] = static_cast<double>(arenas.arenas());
}
BENCHMARK(BM_NewMarkBits)->Arg(1)->Arg(128)->Arg(1024);

PersistentAlloc* shared_memory = nullptr;
MarkBitArenas* shared = nullptr;

void SetUpShared(const benchmark::State&) {
  shared_memory = new PersistentAlloc(ProcessMemory());
  shared = new MarkBitArenas(*shared_memory);
}
void TearDownShared(const benchmark::State&) {
  delete shared;
  delete shared_memory;
}

// Sweepers on several threads, without a rotation: all arenas are new.
void BM_NewMarkBitsShared(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(shared->NewMarkBits(128));
}
BENCHMARK(BM_NewMarkBitsShared)
    ->Setup(SetUpShared)
    ->Teardown(TearDownShared)
    ->Iterations(1 << 20)
    ->ThreadRange(1, 4)
    ->UseRealTime();

void BM_Rotate(benchmark::State& state) {
  PersistentAlloc memory(ProcessMemory());
  MarkBitArenas arenas(memory);
  for (auto _ : state) {
    state.PauseTiming();
    // So many arenas.
    constexpr uint64_t kBitmaps =
        MarkBitArenas::kArenaWords * 64 / MarkBitArenas::kMaxObjects;
    const uint64_t count = static_cast<uint64_t>(state.range(0)) * kBitmaps;
    for (uint64_t i = 0; i < count; ++i) {
      benchmark::DoNotOptimize(arenas.NewMarkBits(MarkBitArenas::kMaxObjects));
    }
    benchmark::DoNotOptimize(arenas.Reserve());
    state.ResumeTiming();
    benchmark::DoNotOptimize(arenas.Rotate());
  }
}
BENCHMARK(BM_Rotate)->Arg(1)->Arg(64)->Iterations(200);

}  // namespace
}  // namespace tricolor::mheap
