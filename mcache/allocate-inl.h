// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Allocation of objects whose type is known at compile time: everything about
// the layout is a constant, so that what remains is a bump of the run and the
// write of the type. Also the two ways to write a type into a slot.
//
// The pointer bits of a slot are found from its address alone: such a span is
// one page, and its last kPointerBitmapBytes hold one bit for each of its
// words. No span is looked up.
//
// Go counterpart: the specialized mallocgc of malloc_generated.go.

#ifndef TRICOLOR_MCACHE_ALLOCATE_INL_H_
#define TRICOLOR_MCACHE_ALLOCATE_INL_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/units.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/mheap/object_layout.h"
#include "tricolor/mheap/span_class.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::mcache {

// The first word of a slot of a kTypeHeader span. Release: a marker that finds
// the type also finds the zeroed memory behind it.
inline void WriteTypeHeader(void* slot, const TypeInfo& type) {
  static_cast<Atomic<const TypeInfo*>*>(slot)->StoreRelease(&type);
}

namespace allocate_internal {

// Relaxed, and with no read-modify-write: only the span's owner writes its
// bitmap. Most objects find the bits of a former one of the same type, and
// then no cache line is dirtied.
inline void ReplaceBits(Atomic<uint64_t>& word, uint64_t mask, uint64_t bits) {
  const uint64_t old = word.LoadRelaxed();
  if (((old ^ bits) & mask) != 0) word.StoreRelaxed((old & ~mask) | bits);
}

}  // namespace allocate_internal

// Writes the pointer bits (bit i: word i of the slot) of a slot of a
// kPointerBitmap span, before its object is published. By the span's owner.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void WritePointerBits(void* slot,
                                                          size_t slot_bytes,
                                                          uint64_t bits) {
  const auto address = reinterpret_cast<uintptr_t>(slot);
  const uintptr_t offset = address & (kPageSize - 1);
  const uintptr_t bitmap =
      address - offset + kPageSize - mheap::kPointerBitmapBytes;
  auto* word = reinterpret_cast<Atomic<uint64_t>*>(bitmap) + offset / 512;
  const auto shift = static_cast<unsigned>(offset / 8 % 64);
  const auto words = static_cast<unsigned>(slot_bytes / 8);
  const uint64_t mask = LowMask(words);
  allocate_internal::ReplaceBits(*word, mask << shift, bits << shift);
  // Slots whose size is a power of two never lie across two words.
  if (IsPowerOfTwo(slot_bytes)) return;
  if (ABSL_PREDICT_FALSE(shift + words > 64)) {
    allocate_internal::ReplaceBits(word[1], mask >> (64 - shift),
                                   bits >> (64 - shift));
  }
}

// A layout as a template argument.
struct FixedLayout {
  uint8_t span_class = 0;  // index
  bool large = false;
  uint16_t slot_bytes = 0;
  uint16_t payload_offset = 0;
  uint8_t tiny_size = 0;  // not 0: share a tiny block
  uint8_t tiny_align = 1;
  uint64_t pointer_bits = 0;
};

// Whether objects of a type may share a block; see MCache::AllocateTiny. Of
// types with an identity (that may get weak pointers or cleanups) they may not.
enum class TinyBlocks : uint8_t { kNever, kAllowed };

// The layout of one object of `type`.
consteval FixedLayout FixedLayoutFor(const TypeInfo& type,
                                     TinyBlocks tiny = TinyBlocks::kNever) {
  const mheap::LayoutResult result = mheap::LayoutFor(type, 1);
  const mheap::SpanClass span_class = result.layout.span_class;
  FixedLayout fixed;
  fixed.span_class = span_class.index();
  fixed.large = !result.ok || span_class.is_large();
  if (fixed.large) return fixed;
  fixed.slot_bytes = static_cast<uint16_t>(result.layout.slot_bytes);
  fixed.payload_offset = static_cast<uint16_t>(result.layout.payload_offset);
  if (span_class.kind() == mheap::SpanKind::kPointerBitmap) {
    fixed.pointer_bits = mheap::SlotPointerBits(type, 1);
  }
  if (tiny == TinyBlocks::kAllowed && MCache::UsesTinyBlock(type, 1)) {
    fixed.tiny_size = static_cast<uint8_t>(type.size == 0 ? 1 : type.size);
    fixed.tiny_align = static_cast<uint8_t>(type.align);
  }
  return fixed;
}

// An object of `type`, for which kLayout was made: zeroed, its type written.
// Null when the heap is exhausted.
template <FixedLayout kLayout>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void* AllocateFixed(MCache& cache,
                                                        const TypeInfo& type) {
  if constexpr (kLayout.large) {
    return cache.Allocate(type, 1);
  } else if constexpr (kLayout.tiny_size != 0) {
    return cache.AllocateTiny(kLayout.tiny_size, kLayout.tiny_align);
  } else {
    constexpr auto kClass = mheap::SpanClass::FromIndex(kLayout.span_class);
    void* slot = cache.TryAllocate(kClass, kLayout.slot_bytes);
    if (ABSL_PREDICT_FALSE(slot == nullptr)) {
      slot = cache.AllocateSlow(kClass);
      if (slot == nullptr) return nullptr;
    }
    if constexpr (kClass.kind() == mheap::SpanKind::kPointerBitmap) {
      WritePointerBits(slot, kLayout.slot_bytes, kLayout.pointer_bits);
    } else if constexpr (kClass.kind() == mheap::SpanKind::kTypeHeader) {
      WriteTypeHeader(slot, type);
    }
    return static_cast<char*>(slot) + kLayout.payload_offset;
  }
}

}  // namespace tricolor::mcache

#endif  // TRICOLOR_MCACHE_ALLOCATE_INL_H_
