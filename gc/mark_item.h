// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What waits to be marked and what waits to be scanned, in a form in which
// nothing that has been looked up is looked up again.
//
// MarkItem, an object or slice to be scanned, is one word:
//
//   bits 0-1    what it is: MarkItem::Kind
//   bits 3-47   address of the slot (of the slice of a large object)
//   bits 48-55  class byte: span class index + 1; 0 for a large object
//   bits 56-62  kPointerBitmap: the words that are pointers; 0: not known
//
// Go counterpart: the pointers in a workbuf. Pure values.

#ifndef TRICOLOR_GC_MARK_ITEM_H_
#define TRICOLOR_GC_MARK_ITEM_H_

#include <array>
#include <cstdint>

#include "tricolor/base/units.h"
#include "tricolor/mheap/mark_bits.h"
#include "tricolor/mheap/page_info.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::gc {

// What marking needs of a span class, in one load. The record of class byte 0
// has no slots: no address is in one of them.
struct ClassRecord {
  uint32_t div_magic = 0;
  uint16_t size_and_kind = 0;  // sizes are multiples of 8
  uint16_t slot_count = 0;

  constexpr uint32_t slots() const { return slot_count; }
  constexpr uint32_t slot_size() const { return size_and_kind & ~7u; }
  constexpr uint32_t kind() const { return size_and_kind & 7u; }
};
static_assert(sizeof(ClassRecord) == 8);
static_assert(mheap::kMaxSlots < 1 << 16 && mheap::kMaxSmallSize < 1 << 16);

// By class byte: span class index + 1, as in PageInfo.
inline constexpr std::array<ClassRecord, 256> kClassRecords = [] {
  std::array<ClassRecord, 256> records{};
  for (unsigned i = 0; i < mheap::kSpanClasses; ++i) {
    const auto span_class =
        mheap::SpanClass::FromIndex(static_cast<uint8_t>(i));
    if (span_class.is_large()) continue;
    const auto kind = static_cast<unsigned>(span_class.kind());
    records[i + 1] = {
        .div_magic = mheap::kClassDivMagic[span_class.size_class()],
        .size_and_kind = static_cast<uint16_t>(span_class.slot_size() | kind),
        .slot_count = static_cast<uint16_t>(span_class.slots())};
  }
  return records;
}();

class MarkItem {
 public:
  // The first three as mheap::SpanKind.
  enum Kind : uint32_t { kPointerBitmap, kNoScan, kTypeHeader, kLargeSlice };

  constexpr MarkItem() = default;
  constexpr explicit MarkItem(uint64_t word) : word_(word) {}
  static constexpr MarkItem Small(Addr slot, uint32_t class_byte) {
    return MarkItem(slot.value() | kClassRecords[class_byte].kind() |
                    uint64_t{class_byte} << 48);
  }
  static constexpr MarkItem LargeSlice(Addr slice) {
    return MarkItem(slice.value() | kLargeSlice);
  }

  constexpr uint64_t word() const { return word_; }
  constexpr Kind kind() const { return static_cast<Kind>(word_ & 3); }
  constexpr Addr address() const {
    return Addr(word_ & ((uint64_t{1} << 48) - 8));
  }
  constexpr const ClassRecord& record() const {
    return kClassRecords[(word_ >> 48) & 0xff];
  }
  // Only of a kPointerBitmap item.
  constexpr uint64_t common_pointers() const { return word_ >> 56; }

 private:
  friend class Candidate;

  uint64_t word_ = 0;
};

// A slot whose mark is to be tested: its mark word, and in another word
//
//   bits 0-12   number of the slot in its span
//   bits 13-47  address of the span
//   bits 48-63  the low bits of the page's info: class byte, common pointers
class Candidate {
 public:
  constexpr Candidate() = default;
  // `info`: of the page, or just the class byte and the mark bits.
  Candidate(Addr span, uint32_t index, mheap::PageInfo info)
      : slot_(span.value() | index | info.word() << 48),
        word_(info.mark_bits() + (index >> 6)) {}

  mheap::MarkWord& mark_word() const { return *word_; }
  constexpr uint64_t mark_bit() const { return uint64_t{1} << (slot_ & 63); }
  constexpr Addr span() const {
    return Addr(slot_ & ((uint64_t{1} << 48) - kPageSize));
  }
  constexpr const ClassRecord& record() const {
    return kClassRecords[(slot_ >> 48) & 0xff];
  }
  // When it has been marked.
  constexpr MarkItem item() const {
    const ClassRecord& the_record = record();
    const uint64_t slot =
        span().value() + slot_ % kPageSize * the_record.slot_size();
    return MarkItem(slot | the_record.kind() | slot_ >> 48 << 48);
  }

 private:
  uint64_t slot_ = 0;
  mheap::MarkWord* word_ = nullptr;
};
static_assert(mheap::kMaxSlots <= kPageSize && sizeof(Candidate) == 16);

static_assert(static_cast<int>(mheap::SpanKind::kPointerBitmap) ==
              MarkItem::kPointerBitmap);
static_assert(static_cast<int>(mheap::SpanKind::kNoScan) == MarkItem::kNoScan);
static_assert(static_cast<int>(mheap::SpanKind::kTypeHeader) ==
              MarkItem::kTypeHeader);

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_MARK_ITEM_H_
