// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// For tests of this floor: a heap on a fake OS with one processor attached,
// which checks its invariants when it goes.

#ifndef TRICOLOR_MHEAP_MHEAP_TESTING_H_
#define TRICOLOR_MHEAP_MHEAP_TESTING_H_

#include <cstddef>
#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/test_random.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::mheap {

// Little address space, so that a test may run out of it.
inline MHeapOptions SmallHeapOptions() {
  return {.reservation = ByteCount(uint64_t{256} << 20)};
}

struct TestHeap {
  explicit TestHeap(const MHeapOptions& options = SmallHeapOptions(),
                    const FakeOsMemoryOptions& os_options = {})
      : os(os_options), heap(os, options) {
    TRICOLOR_CHECK(heap.Init(), "test heap without memory");
    heap.AttachProcessor(processor);
  }
  ~TestHeap() {
    heap.CheckInvariants();
    heap.ReleaseProcessor(processor);
    heap.CheckInvariants();
  }

  FakeOsMemory os;
  MHeap heap;
  ProcessorCache processor;
};

// The class of objects of exactly `size` bytes or a little more.
inline SpanClass ClassFor(size_t size, SpanKind kind = SpanKind::kNoScan) {
  return SpanClass(SizeClassFor(size), kind);
}
inline SpanClass LargeClass(SpanKind kind = SpanKind::kNoScan) {
  return SpanClass(0, kind);
}

// Marks nothing or something, then does what the floor `sweep` would.
inline void Sweep(MHeap& heap, MSpan& span) {
  heap.FinishSweep(span, span.CountMarked());
  span.set_sweep_gen(heap.sweep_gen());
}

// What the receiver of dead specials does with them in the end.
inline void FreeSpecials(MHeap& heap, Special* list) {
  while (list != nullptr) {
    Special* next = list->next;
    heap.FreeSpecial(list);
    list = next;
  }
}

// TestRandom for slot indexes and other small numbers.
class Random : public TestRandom {
 public:
  using TestRandom::TestRandom;
  uint64_t operator()() { return Next(); }
  uint32_t Below(uint64_t n) {
    return static_cast<uint32_t>(TestRandom::Below(n));
  }
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_MHEAP_TESTING_H_
