// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the simulation checks, of single objects and of everything.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>

#include "tricolor/base/check.h"
#include "tricolor/mheap/object_layout.h"
#include "tricolor/tests/caches/simulation.h"

namespace tricolor::caches {

using mheap::MSpan;

namespace {

// Calls check(i) for all bytes of an object, or enough of a large one's.
template <typename Check>
void ForBytes(size_t bytes, const Check& check) {
  constexpr size_t kEnds = 64;
  for (size_t i = 0; i < bytes; i += i < kEnds || i + kEnds >= bytes ? 1 : 61) {
    check(i);
  }
}

}  // namespace

void Simulation::CheckNew(const Object& object, const TypeInfo& type,
                          uint64_t count) {
  const uintptr_t end = object.address + object.bytes;
  auto next = occupied_.lower_bound(object.address);
  TRICOLOR_CHECK(next == occupied_.end() || next->first >= end,
                 "object %zx of %zu bytes handed out over that at %zx",
                 object.address, object.bytes, next->first);
  if (next != occupied_.begin()) {
    const auto& [address, bytes] = *std::prev(next);
    TRICOLOR_CHECK(address + bytes <= object.address,
                   "object %zx handed out within that at %zx of %zu bytes",
                   object.address, address, bytes);
  }
  const auto* memory = reinterpret_cast<const unsigned char*>(object.address);
  ForBytes(object.bytes, [&](size_t i) {
    TRICOLOR_CHECK(memory[i] == 0, "new object %zx is not zero at byte %zu",
                   object.address, i);
  });
  TRICOLOR_CHECK(object.address % type.align == 0, "object %zx aligned to %zu",
                 object.address, type.align);
  const MSpan* span = t_.heap.HeapSpanOf(Addr(object.address));
  TRICOLOR_CHECK(span != nullptr, "object %zx in no span", object.address);
  const uint32_t index = span->IndexOf(Addr(object.address));
  TRICOLOR_CHECK(!span->IsFree(index) && (!marking_ || span->IsMarked(index)),
                 "new object %zx is free or white", object.address);
  if (span->is_large()) {
    TRICOLOR_CHECK(span->large_type() == &type, "large object %zx untyped",
                   object.address);
  } else if (span->span_class().kind() == mheap::SpanKind::kPointerBitmap) {
    const uint64_t bits = mheap::SlotPointerBits(type, count);
    TRICOLOR_CHECK(span->PointerBits(index) == bits,
                   "object %zx has pointer bits %zx, expected %zx",
                   object.address, size_t{span->PointerBits(index)},
                   size_t{bits});
  }
}

void Simulation::CheckWhole(const Object& object) {
  const auto* memory = reinterpret_cast<const unsigned char*>(object.address);
  ForBytes(object.bytes, [&](size_t i) {
    TRICOLOR_CHECK(memory[i] == object.tag,
                   "byte %zu of object %zx is %02x, expected %02x", i,
                   object.address, memory[i], object.tag);
  });
  if (object.weak != nullptr) {
    TRICOLOR_CHECK(object.weak->serial.LoadAcquire() == object.serial,
                   "weak handle of the live object %zx is dead",
                   object.address);
  }
}

void Simulation::CheckSpans(bool exact) {
  std::map<const MSpan*, std::set<uint32_t>> used;
  for (const auto& [address, bytes] : occupied_) {
    const MSpan* span = t_.heap.HeapSpanOf(Addr(address));
    used[span].insert(span->IndexOf(Addr(address)));
  }
  uint64_t slots[mheap::kSizeClasses] = {};
  int64_t bytes = 0;
  t_.heap.ForEachHeapSpan([&](const MSpan& span) {
    const size_t expected = used[&span].size();
    TRICOLOR_CHECK(
        span.allocated() == expected || (!exact && span.allocated() > expected),
        "span %p has %u slots allocated, the model %zu", span.base().pointer(),
        span.allocated(), expected);
    for (const uint32_t i : used[&span]) {
      TRICOLOR_CHECK(!span.IsFree(i), "slot %u of span %p is free", i,
                     span.base().pointer());
    }
    slots[span.span_class().size_class()] += span.allocated();
    bytes += static_cast<int64_t>(span.allocated() * span.slot_size());
  });
  const mheap::HeapStats stats = t_.heap.ReadStats();
  stats.CheckObjects();
  for (int i = 0; i < mheap::kSizeClasses; ++i) {
    TRICOLOR_CHECK(
        stats.small_allocated[i] - stats.small_freed[i] == slots[i],
        "size class %d: %zu objects allocated, %zu freed, but %zu are there", i,
        size_t{stats.small_allocated[i]}, size_t{stats.small_freed[i]},
        size_t{slots[i]});
  }
  if (exact && !allocated_while_marking_) {
    TRICOLOR_CHECK(heap_live_ == bytes,
                   "live heap is %lld bytes by the observer, %lld by the spans",
                   static_cast<long long>(heap_live_),
                   static_cast<long long>(bytes));
  }
}

}  // namespace tricolor::caches
