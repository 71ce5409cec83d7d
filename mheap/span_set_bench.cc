// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// SpanSet: what a span costs on its way through a set, alone and with other
// threads, and what a mutex around a ring buffer costs beside it.

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "benchmark/benchmark.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/mheap/span_set.h"

namespace tricolor::mheap {
namespace {

MSpan* SomeSpan() { return reinterpret_cast<MSpan*>(uintptr_t{64}); }

struct Fixture {
  PersistentAlloc memory{ProcessMemory()};
  SpanSetBlockPool pool{memory};
  SpanSet set{pool};
};

// One span goes in and out; a block every 512 times.
void BM_PushPop(benchmark::State& state) {
  Fixture f;
  for (auto _ : state) {
    benchmark::DoNotOptimize(f.set.Push(SomeSpan()));
    benchmark::DoNotOptimize(f.set.Pop());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_PushPop);

// A whole cycle of a set: `n` spans in, `n` spans out, reset.
void BM_FillDrainReset(benchmark::State& state) {
  Fixture f;
  const int64_t n = state.range(0);
  for (auto _ : state) {
    for (int64_t i = 0; i < n; ++i) {
      benchmark::DoNotOptimize(f.set.Push(SomeSpan()));
    }
    for (int64_t i = 0; i < n; ++i) benchmark::DoNotOptimize(f.set.Pop());
    f.set.Reset();
  }
  state.SetItemsProcessed(state.iterations() * n);
}
BENCHMARK(BM_FillDrainReset)->Arg(16)->Arg(512)->Arg(64 << 10);

Fixture* shared = nullptr;

void SetUpShared(const benchmark::State&) { shared = new Fixture; }
void TearDownShared(const benchmark::State&) {
  delete shared;
  shared = nullptr;
}

// Every thread pushes and pops.
void BM_PushPopShared(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(shared->set.Push(SomeSpan()));
    benchmark::DoNotOptimize(shared->set.Pop());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_PushPopShared)
    ->Setup(SetUpShared)
    ->Teardown(TearDownShared)
    ->ThreadRange(1, 4)
    ->UseRealTime();

// What it would be with a lock.
struct LockedRing {
  static constexpr size_t kLength = 1024;
  std::mutex mutex;
  size_t head = 0;
  size_t tail = 0;
  MSpan* entries[kLength] = {};
};
LockedRing ring;

void BM_PushPopLockedRing(benchmark::State& state) {
  for (auto _ : state) {
    {
      std::lock_guard lock(ring.mutex);
      ring.entries[ring.tail++ % LockedRing::kLength] = SomeSpan();
    }
    std::lock_guard lock(ring.mutex);
    benchmark::DoNotOptimize(ring.entries[ring.head++ % LockedRing::kLength]);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_PushPopLockedRing)->ThreadRange(1, 4)->UseRealTime();

}  // namespace
}  // namespace tricolor::mheap
