// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A span class is a size class together with how the collector finds the
// pointers in the span's objects:
//
//   kPointerBitmap  objects of at most 512 bytes with exact types; the last
//                   kPointerBitmapBytes of the span's one page hold one bit
//                   for each word of the page
//   kNoScan         objects without pointers
//   kTypeHeader     each slot begins with a word that holds a TypeInfo*; any
//                   size, any way of tracing
//
// A large object (size class 0) has its span to itself; its TypeInfo stands on
// the span, and its kind is kNoScan or kTypeHeader.
//
// Go counterpart: spanClass in mheap.go (size class and noscan bit), with a
// third kind because C++ types may also be traced by callback or
// conservatively whatever their size.

#ifndef TRICOLOR_MHEAP_SPAN_CLASS_H_
#define TRICOLOR_MHEAP_SPAN_CLASS_H_

#include <cstddef>
#include <cstdint>

#include "tricolor/base/bits.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/size_classes.h"

namespace tricolor::mheap {

enum class SpanKind : uint8_t { kPointerBitmap, kNoScan, kTypeHeader };

inline constexpr int kSpanKinds = 3;
inline constexpr int kSpanClasses = kSpanKinds * kSizeClasses;
static_assert(kSpanClasses <= 255);  // an index and 1 fit into a byte

// The largest object (slot) whose pointers are described by the bitmap at the
// end of its span.
inline constexpr size_t kMaxBitmapObject = 512;
// One bit for each word of an 8 KiB page.
inline constexpr size_t kPointerBitmapBytes = 128;
inline constexpr size_t kTypeHeaderBytes = 8;

// The generated tables were made for these.
static_assert(kPointerBitmapBytes == kPageSize / 8 / 8);
static_assert(kMaxSmallAlign == kPageSize);
static_assert(kClassBitmapSlots[SizeClassFor(kMaxBitmapObject)] ==
              (kPageSize - kPointerBitmapBytes) / kMaxBitmapObject);
static_assert(kClassBitmapSlots[SizeClassFor(kMaxBitmapObject + 1)] == 0);

class SpanClass {
 public:
  constexpr SpanClass() = default;
  constexpr SpanClass(uint8_t size_class, SpanKind kind)
      : index_(static_cast<uint8_t>(size_class * kSpanKinds +
                                    static_cast<int>(kind))) {}
  static constexpr SpanClass FromIndex(uint8_t index) {
    SpanClass c;
    c.index_ = index;
    return c;
  }

  // Dense, in [0, kSpanClasses).
  constexpr uint8_t index() const { return index_; }
  constexpr uint8_t size_class() const { return index_ / kSpanKinds; }
  constexpr SpanKind kind() const {
    return static_cast<SpanKind>(index_ % kSpanKinds);
  }
  constexpr bool is_large() const { return size_class() == 0; }
  constexpr bool is_noscan() const { return kind() == SpanKind::kNoScan; }

  // Of a small class; 0 for a large one.
  constexpr uint32_t slot_size() const { return kClassSize[size_class()]; }
  constexpr uint32_t pages() const { return kClassPages[size_class()]; }
  constexpr uint32_t slots() const {
    return kind() == SpanKind::kPointerBitmap ? kClassBitmapSlots[size_class()]
                                              : kClassSlots[size_class()];
  }
  // The slot that the byte at `offset` < pages() * kPageSize of the span falls
  // into; at least slots() when it lies above the last slot.
  constexpr uint32_t SlotAt(uint32_t offset) const {
    return DivideByMagic(offset, kClassDivMagic[size_class()]);
  }

  friend constexpr bool operator==(SpanClass, SpanClass) = default;

 private:
  uint8_t index_ = 0;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPAN_CLASS_H_
