// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PageInfo: one word for each page that tells the marker, without touching the
// span's structure, which slot an address falls into, where its mark bit is,
// and often where the pointers are.
//
//   bits 0-7    span class index + 1; 0: no small heap object on this page
//   bits 8-14   kPointerBitmap: the words that are pointers in every object of
//               the page, if that is the same for all; 0: look at the bitmap
//   bits 15-18  the page's index within its span
//   bits 19-63  address of the span's mark bits, divided by 8
//
// The table of these words is dense and hot: 8 bytes for 8 KiB of heap. Large
// and manual spans have 0 here and are found through the span table.
//
// The idea follows Go's in-page class byte (mgcmark_greenteagc.go), moved off
// the page so that marking does not touch the target before its mark test.
// Written by the span's publisher and sweeper (release); read by markers
// (acquire).

#ifndef TRICOLOR_MHEAP_PAGE_INFO_H_
#define TRICOLOR_MHEAP_PAGE_INFO_H_

#include <cstdint>

#include "tricolor/base/units.h"
#include "tricolor/mheap/mark_bits.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::mheap {

static_assert(kSpanClasses + 1 <= 256 && kMaxClassPages <= 16);

class PageInfo {
 public:
  constexpr PageInfo() = default;
  constexpr explicit PageInfo(uint64_t word) : word_(word) {}
  PageInfo(SpanClass span_class, uint32_t page_in_span, const MarkWord* marks,
           uint64_t common_pointers = 0)
      : word_((reinterpret_cast<uint64_t>(marks) << 16) |
              (uint64_t{page_in_span} << kPageShiftInWord) |
              (common_pointers << 8) | (uint64_t{span_class.index()} + 1)) {}

  // Pointer bits that there is room for in a word: not 0, and none but these.
  static constexpr uint64_t kCommonPointers = 0x7f;
  static constexpr bool HasRoomFor(uint64_t pointer_bits) {
    return pointer_bits != 0 && pointer_bits <= kCommonPointers;
  }

  constexpr uint64_t word() const { return word_; }
  constexpr bool has_small_objects() const { return (word_ & 0xff) != 0; }
  // Only if has_small_objects().
  constexpr SpanClass span_class() const {
    return SpanClass::FromIndex(static_cast<uint8_t>((word_ & 0xff) - 1));
  }
  constexpr uint32_t page_in_span() const {
    return (word_ >> kPageShiftInWord) & 0xf;
  }
  // 0: not the same for all objects, or not known.
  constexpr uint64_t common_pointers() const {
    return (word_ >> 8) & kCommonPointers;
  }
  // The slot that address `a` on this page falls into: at least
  // span_class().slots() when it lies above the span's last slot.
  constexpr uint32_t SlotAt(Addr a) const {
    const uint32_t in_page = static_cast<uint32_t>(a.value() % kPageSize);
    return span_class().SlotAt((page_in_span() << kPageShift) + in_page);
  }
  MarkWord* mark_bits() const {
    return reinterpret_cast<MarkWord*>(word_ >> 19 << 3);
  }

 private:
  static constexpr int kPageShiftInWord = 15;

  uint64_t word_ = 0;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_PAGE_INFO_H_
