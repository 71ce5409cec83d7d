// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The cost of the heap's own bookkeeping memory, and of the fake OS that
// fuzzers build heaps on.

#include <cstdint>

#include "benchmark/benchmark.h"
#include "tricolor/base/addr_ranges.h"
#include "tricolor/base/fixed_alloc.h"
#include "tricolor/base/lazy_array.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/sys/linux_memory.h"

namespace tricolor {
namespace {

struct Record {
  uint64_t words[20];
};

void BM_PersistentAlloc(benchmark::State& state) {
  constexpr int kPieces = 1000;
  for (auto _ : state) {
    PersistentAlloc memory(ProcessMemory());
    for (int i = 0; i < kPieces; ++i) {
      benchmark::DoNotOptimize(memory.Allocate(ByteCount(64), 8));
    }
  }
  state.SetItemsProcessed(state.iterations() * kPieces);
}
BENCHMARK(BM_PersistentAlloc);

void BM_FixedAllocAndFree(benchmark::State& state) {
  PersistentAlloc memory(ProcessMemory());
  FixedAlloc<Record> alloc(memory);
  for (auto _ : state) {
    Record* record = alloc.Allocate();
    benchmark::DoNotOptimize(record);
    alloc.Free(record);
  }
}
BENCHMARK(BM_FixedAllocAndFree);

void BM_AddrRangesFind(benchmark::State& state) {
  PersistentAlloc memory(ProcessMemory());
  AddrRanges ranges(memory);
  const uint64_t count = static_cast<uint64_t>(state.range(0));
  for (uint64_t i = 0; i < count; ++i) {
    if (!ranges.Add({Addr(i << 20), Addr((i << 20) + 4096)})) return;
  }
  uint64_t probe = 0;
  for (auto _ : state) {
    probe = (probe + 0x9e3779b97f4a7c15) % (count << 20);
    benchmark::DoNotOptimize(ranges.FindAddrGreaterEqual(Addr(probe)));
  }
}
BENCHMARK(BM_AddrRangesFind)->Arg(1)->Arg(16)->Arg(1024);

void BM_AddrRangesAddBelowAndRemove(benchmark::State& state) {
  PersistentAlloc memory(ProcessMemory());
  AddrRanges ranges(memory);
  for (auto _ : state) {
    for (uint64_t i = 16; i > 0; --i) {
      benchmark::DoNotOptimize(
          ranges.Add({Addr(i << 20), Addr((i << 20) + 4096)}));
    }
    ranges.Clear();
  }
  state.SetItemsProcessed(state.iterations() * 16);
}
BENCHMARK(BM_AddrRangesAddBelowAndRemove);

void BM_LazyArrayAlreadyCommitted(benchmark::State& state) {
  LazyArray<uint64_t> array(ProcessMemory());
  if (!array.Init(1 << 20) || !array.EnsureCommitted(0, 1 << 20)) return;
  for (auto _ : state) {
    benchmark::DoNotOptimize(array.EnsureCommitted(1 << 19, 512));
  }
}
BENCHMARK(BM_LazyArrayAlreadyCommitted);

// What a fuzzer pays for the OS side of one small heap: a vast reservation, a
// few lazy tables, some chunks used and given back.
void HeapLifetime(OsMemory& os) {
  constexpr ByteCount kHeap{uint64_t{1} << 36};
  constexpr ByteCount kChunk{4 << 20};
  const Addr base = os.Reserve(kHeap, kChunk);
  LazyRegion tables[4] = {LazyRegion(os), LazyRegion(os), LazyRegion(os),
                          LazyRegion(os)};
  for (LazyRegion& table : tables) {
    benchmark::DoNotOptimize(table.Init(ByteCount(64 << 20)) &&
                             table.EnsureCommitted(ByteCount(0), ByteCount(1)));
  }
  benchmark::DoNotOptimize(os.Map({base, base + kChunk * 4}));
  for (uint64_t i = 0; i < 16; ++i) {
    const Addr page = base + ByteCount(i << 16);
    benchmark::DoNotOptimize(os.Used({page, page + ByteCount(8192)}));
    *page.as<uint64_t>() = i;
  }
  os.Free({base, base + kHeap});
}

void BM_HeapLifetimeOnLinux(benchmark::State& state) {
  for (auto _ : state) HeapLifetime(ProcessMemory());
}
BENCHMARK(BM_HeapLifetimeOnLinux);

void BM_HeapLifetimeOnFake(benchmark::State& state) {
  for (auto _ : state) {
    FakeOsMemory os({.protect = state.range(0) != 0});
    HeapLifetime(os);
  }
}
BENCHMARK(BM_HeapLifetimeOnFake)->ArgName("protect")->Arg(0)->Arg(1);

}  // namespace
}  // namespace tricolor
