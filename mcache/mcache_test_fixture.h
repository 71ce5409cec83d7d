// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of MCache share: a cache on a small heap with a sweeper that
// sweeps as it is told, an observer that adds up, and types of each kind.
//
// Test-only. Thread-compatible.

#ifndef TRICOLOR_MCACHE_MCACHE_TEST_FIXTURE_H_
#define TRICOLOR_MCACHE_MCACHE_TEST_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "gtest/gtest.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/mcache/mcache_test_peer.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::mcache {

using mcentral::FakeSweeper;
using mcentral::TestHeap;
using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;
using mheap::SpanState;
using Tracing = TypeInfo::Tracing;

// 512-byte slots, 16 to a span: one run.
inline constexpr SpanClass kClass(mheap::SizeClassFor(512), SpanKind::kNoScan);
inline constexpr uint32_t kSlots = mheap::kClassSlots[kClass.size_class()];
inline constexpr SpanClass kTinyClass(mheap::SizeClassFor(16),
                                      SpanKind::kNoScan);

inline constexpr uint64_t kFirstAndThird[] = {0b101};

constexpr TypeInfo NoPointers(size_t size, size_t align) {
  return {.size = size, .align = align};
}
constexpr TypeInfo WithBitmap(size_t size) {
  return {.size = size,
          .align = 8,
          .tracing = Tracing::kBitmap,
          .pointer_words = 3,
          .bitmap = kFirstAndThird};
}
constexpr TypeInfo Conservative(size_t size, size_t align = 8) {
  return {.size = size, .align = align, .tracing = Tracing::kConservative};
}

inline constexpr TypeInfo kBitmapType = WithBitmap(40);
inline constexpr TypeInfo kNoScanType = NoPointers(12, 4);
inline constexpr TypeInfo kHeaderType = Conservative(600);
inline constexpr TypeInfo kLargeType = Conservative(100000);

class FakeObserver final : public AllocationObserver {
 public:
  void HeapLiveChanged(int64_t bytes) override {
    live += bytes;
    ++calls;
  }
  int64_t live = 0;
  int calls = 0;
};

class MCacheTest : public testing::Test {
 protected:
  MCacheTest() {
    t_.heap.set_sweeper(&sweeper_);
    cache_.emplace(t_.heap, t_.centrals, t_.processor, observer_);
  }
  ~MCacheTest() override {
    if (cache_.has_value()) {
      cache_->CheckInvariants();
      cache_->PrepareForSweep();
      cache_->set_allocate_black(false);
      cache_->ReleaseAll();
    }
    t_.centrals.CheckInvariants();
    t_.heap.CheckInvariants();
  }

  uint32_t sg() const { return t_.heap.sweep_gen(); }
  void* New(SpanClass c) {
    void* slot = cache_->TryAllocate(c, c.slot_size());
    return slot != nullptr ? slot : cache_->AllocateSlow(c);
  }
  MSpan* Current(SpanClass c) { return MCacheTestPeer::Current(*cache_, c); }
  MSpan* SpanOf(void* object) { return t_.heap.HeapSpanOf(Addr(object)); }
  uint32_t IndexOf(void* object) {
    return SpanOf(object)->IndexOf(Addr(object));
  }
  // A large object that has died: its pages are free, and not zero for the
  // heap.
  void* DropLarge(const TypeInfo& type) {
    void* object = cache_->Allocate(type, 1);
    t_.heap.AdvanceSweepGen();
    MSpan* span = t_.PopUnswept();
    span->set_sweep_gen(sg());
    t_.heap.FreeSpan(t_.processor, span);
    cache_->PrepareForSweep();
    return object;
  }
  uint64_t Allocated(uint8_t size_class) {
    return t_.heap.ReadStats().small_allocated[size_class];
  }
  // All bytes, from the object to the end of its slot.
  bool IsZero(void* object, size_t bytes) {
    const auto* p = static_cast<const unsigned char*>(object);
    for (size_t i = 0; i < bytes; ++i) {
      if (p[i] != 0) return false;
    }
    return true;
  }

  TestHeap t_;
  FakeSweeper sweeper_{t_.heap};
  FakeObserver observer_;
  std::optional<MCache> cache_;
};

}  // namespace tricolor::mcache

#endif  // TRICOLOR_MCACHE_MCACHE_TEST_FIXTURE_H_
