// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Allocation of objects whose type is known at compile time: everything about
// the layout is a constant, and what remains is a bump of the run, in 6
// instructions without pointers and 8 with them (see the README).
//
// Go counterpart: the specialized mallocgc of malloc_generated.go.
// By the cache's user.

#ifndef TRICOLOR_MCACHE_ALLOCATE_INL_H_
#define TRICOLOR_MCACHE_ALLOCATE_INL_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/mcache/slot_type.h"
#include "tricolor/mheap/object_layout.h"
#include "tricolor/mheap/span_class.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::mcache {

// A layout as a template argument.
struct FixedLayout {
  uint8_t span_class = 0;  // index
  bool large = false;
  uint16_t slot_bytes = 0;
  uint16_t payload_offset = 0;
  uint8_t tiny_size = 0;  // not 0: shares a tiny block
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

// A small object that has a slot to itself. `slow(span_class, pointer_bits,
// type)` is called when the run has ended, and returns what
// MCache::AllocateSlow of the same arguments does; it should be out of line.
template <FixedLayout kLayout, typename Slow>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void* AllocateFixedSlot(
    MCache& cache, const TypeInfo& type, const Slow& slow) {
  static_assert(!kLayout.large);
  constexpr auto kClass = mheap::SpanClass::FromIndex(kLayout.span_class);
  void* slot = cache.TryAllocate(kClass, kLayout.slot_bytes);
  if (ABSL_PREDICT_FALSE(slot == nullptr)) {
    slot = slow(kClass, kLayout.pointer_bits, &type);
    if (slot == nullptr) return nullptr;
  } else if constexpr (kClass.kind() == mheap::SpanKind::kPointerBitmap) {
    if (ABSL_PREDICT_FALSE(
            !cache.RunHasPointerBits(kClass, kLayout.pointer_bits)) &&
        !cache.WritePointerBits(kClass, slot, kLayout.pointer_bits)) {
      slot = slow(kClass, kLayout.pointer_bits, &type);
      if (slot == nullptr) return nullptr;
    }
  }
  if constexpr (kClass.kind() == mheap::SpanKind::kTypeHeader) {
    WriteTypeHeader(slot, type);
  }
  return static_cast<char*>(slot) + kLayout.payload_offset;
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
    return AllocateFixedSlot<kLayout>(
        cache, type,
        [&cache](mheap::SpanClass c, uint64_t pointer_bits, const TypeInfo* t) {
          return cache.AllocateSlow(c, pointer_bits, t);
        });
  }
}

}  // namespace tricolor::mcache

#endif  // TRICOLOR_MCACHE_ALLOCATE_INL_H_
