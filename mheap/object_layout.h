// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Where an object of a given type goes: span class, bytes asked of the slot,
// and where in the slot the object begins. A slot of a kTypeHeader span holds
// the TypeInfo* in its first word and the object at offset max(8, alignment);
// in all other spans the object begins at the slot's start.
//
// Go counterpart: the choice at the top of mallocgc, heapSetType*. Constant
// expressions, so that New<T> knows all of it at compile time.

#ifndef TRICOLOR_MHEAP_OBJECT_LAYOUT_H_
#define TRICOLOR_MHEAP_OBJECT_LAYOUT_H_

#include <cstddef>
#include <cstdint>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/span_class.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::mheap {

// No object is larger: the address space of a process on 64-bit Linux.
inline constexpr uint64_t kMaxObjectBytes = uint64_t{1} << 47;

struct ObjectLayout {
  SpanClass span_class;
  // Offset of the object (payload) in its slot: 0, or max(8, align).
  uint32_t payload_offset = 0;
  // For small classes the class's slot size; for large ones the bytes needed.
  uint64_t slot_bytes = 0;
  // Alignment in bytes that a large span must have beyond a page's; 0: none.
  uint64_t large_alignment = 0;
};

struct LayoutResult {
  ObjectLayout layout;
  bool ok = false;
};

namespace object_layout_internal {

// The bytes of the elements, and one more for arrays; 0 for too many, or when
// no address is aligned enough.
constexpr uint64_t PayloadBytes(const TypeInfo& type, uint64_t count) {
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(uint64_t{type.size}, count, &bytes)) return 0;
  if (bytes >= kMaxObjectBytes || type.align >= kMaxObjectBytes) return 0;
  if (count > 1) ++bytes;
  return bytes == 0 ? 1 : bytes;
}

constexpr ObjectLayout SmallLayout(uint8_t size_class, SpanKind kind,
                                   uint64_t payload_offset) {
  return {.span_class = SpanClass(size_class, kind),
          .payload_offset = static_cast<uint32_t>(payload_offset),
          .slot_bytes = kClassSize[size_class]};
}

constexpr ObjectLayout LargeLayout(const TypeInfo& type, uint64_t bytes) {
  return {.span_class = SpanClass(0, type.has_pointers() ? SpanKind::kTypeHeader
                                                         : SpanKind::kNoScan),
          .slot_bytes = bytes,
          .large_alignment = type.align > kMaxSmallAlign ? type.align : 0};
}

}  // namespace object_layout_internal

// The layout of `count` >= 1 elements of `type` in one object. Arrays (count >
// 1) get at least one byte after their last element, so that a pointer one past
// the end still points into them. An empty type takes one byte. `ok` is false
// when the elements take, or their alignment is, kMaxObjectBytes or more.
constexpr LayoutResult LayoutFor(const TypeInfo& type, uint64_t count) {
  namespace internal = object_layout_internal;
  TRICOLOR_DCHECK(IsPowerOfTwo(type.align),
                  "type %s has alignment %zu, not a power of two", type.name,
                  type.align);
  const uint64_t bytes = internal::PayloadBytes(type, count);
  if (bytes == 0) return {};
  if (!type.has_pointers()) {
    const uint8_t size_class = SizeClassFor(bytes, type.align);
    if (size_class == 0) return {internal::LargeLayout(type, bytes), true};
    return {internal::SmallLayout(size_class, SpanKind::kNoScan, 0), true};
  }
  if (type.tracing == TypeInfo::Tracing::kBitmap && bytes <= kMaxBitmapObject) {
    // An alignment beyond the size, which no C++ type has, may need a slot
    // that is too large for the bitmap.
    const uint8_t size_class = SizeClassFor(bytes, type.align);
    if (size_class != 0 && kClassSize[size_class] <= kMaxBitmapObject) {
      return {internal::SmallLayout(size_class, SpanKind::kPointerBitmap, 0),
              true};
    }
  }
  const uint64_t payload_offset =
      type.align > kTypeHeaderBytes ? type.align : kTypeHeaderBytes;
  const uint8_t size_class = SizeClassFor(payload_offset + bytes, type.align);
  if (size_class == 0) return {internal::LargeLayout(type, bytes), true};
  return {
      internal::SmallLayout(size_class, SpanKind::kTypeHeader, payload_offset),
      true};
}

// The pointer bits of the slot (bit i: word i) for a kPointerBitmap layout of
// `count` elements of `type`: the element's bitmap repeated `count` times.
constexpr uint64_t SlotPointerBits(const TypeInfo& type, uint64_t count) {
  if (type.pointer_words == 0) return 0;
  const uint64_t words = type.size / sizeof(uint64_t);
  uint64_t bits =
      type.bitmap[0] & LowMask(static_cast<unsigned>(type.pointer_words));
  // `filled` elements are done; no shift reaches 64, for an array's elements
  // take at most 63 words.
  uint64_t filled = 1;
  for (; filled * 2 <= count; filled *= 2) bits |= bits << (filled * words);
  if (filled < count) bits |= bits << ((count - filled) * words);
  return bits;
}

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_OBJECT_LAYOUT_H_
