// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MCacheTester: what //tests/caches, which allocates as a program does, leaves
// out of MCache: allocations that a signal interrupts between any two of their
// instructions, cycles that go by while a large object is zeroed, pointer bits
// of a slot whose cache was flushed meanwhile, and sampling; beside tiny, small
// and large objects, flushes and cycles. The model knows each object's bytes:
// no slot is handed out twice, all are zero, all that lives stays whole. Every
// operation is total.
//
// Test-only. Thread-compatible. One exists at a time.

#ifndef TRICOLOR_MCACHE_MCACHE_TESTER_H_
#define TRICOLOR_MCACHE_MCACHE_TESTER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "tricolor/base/fuzzing.h"
#include "tricolor/mcache/allocation_sampler.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/processor_cache.h"

namespace tricolor::mcache {

class MCacheTester final : private AllocationObserver,
                           private AllocationSampler,
                           private SliceHook {
 public:
  MCacheTester();
  // Gives everything back, and checks a last time.
  ~MCacheTester();
  MCacheTester(const MCacheTester&) = delete;
  MCacheTester& operator=(const MCacheTester&) = delete;

  void Allocate(uint32_t cache, uint32_t type, uint32_t objects);
  void AllocateTiny(uint32_t cache, uint32_t size, uint32_t align);
  // Between its slices comes a cycle, a flush or nothing: two bits of
  // `between` each.
  void AllocateLarge(uint32_t cache, uint32_t slices, uint32_t between);
  // The inlined allocation is interrupted, when it has loaded the next slot
  // (`loaded_next`) or just the run's limit; the cache is flushed, parked, or
  // goes through a cycle; and the allocation goes on.
  void Interrupt(uint32_t cache, uint32_t type, bool loaded_next,
                 uint32_t meanwhile);
  // Pointer bits are written into a slot, perhaps after such an interruption.
  void WriteBits(uint32_t cache, uint64_t bits, uint32_t meanwhile);
  // Every `nth` object from the `first` on dies.
  void Drop(uint32_t first, uint32_t nth);
  void Flush(uint32_t cache);
  void Release(uint32_t cache);
  void PublishStats(uint32_t cache);
  void Sample(uint32_t cache, uint32_t rate);
  void Sweep(uint32_t spans);
  void Cycle();

  // The caches' invariants.
  void Check();

 private:
  static constexpr uint32_t kCaches = 2;

  struct Object {
    size_t bytes = 0;
    uint8_t tag = 0;
    bool live = true;
  };
  struct Cache {
    mheap::ProcessorCache pages;
    std::optional<MCache> cache;
  };

  void HeapLiveChanged(int64_t) override {}
  void OnSample(const AllocationSample& sample) override;
  void BetweenSlices(void* object) override;

  MCache& Of(uint32_t cache);
  // Checks that it is new, fills it, and remembers it.
  void Add(void* object, size_t bytes);
  void CheckWhole(uintptr_t address, const Object& object) const;
  void DoCycle();
  // What happens to a cache whose user waits in the middle of something.
  void Interfere(MCache& cache, uint32_t what);
  void SweepSpans(uint64_t most);
  void EndSweep();

  FuzzProgram program_;
  mcentral::TestHeap t_;
  mcentral::FakeSweeper sweeper_{t_.heap};
  Cache caches_[kCaches];
  std::map<uintptr_t, Object> objects_;  // whose slots are in use
  uint64_t made_ = 0;
  // Of the large object that is being zeroed.
  MCache* zeroing_cache_ = nullptr;
  uint32_t between_ = 0;
  uintptr_t being_zeroed_ = 0;
};

}  // namespace tricolor::mcache

#endif  // TRICOLOR_MCACHE_MCACHE_TESTER_H_
