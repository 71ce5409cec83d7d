// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The inner loop of marking: from an address to its object's mark. It touches
// the page-info table, a class record and the mark word, and nothing of the
// span. Included by the sources of MarkWorker only.

#ifndef TRICOLOR_GC_MARK_INL_H_
#define TRICOLOR_GC_MARK_INL_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/gc/mark_worker.h"
#include "tricolor/mheap/page_info.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::gc {

inline uint64_t* MarkWorker::Reserve(uint64_t count) {
  uint64_t* top = work_.TryReserve(count);
  return ABSL_PREDICT_TRUE(top != nullptr) ? top : ReserveSlow(count);
}

inline void MarkWorker::Push(MarkItem item) {
  uint64_t* top = Reserve(1);
  *top = item.word();
  work_.Commit(top + 1);
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Candidate* MarkWorker::LookUp(
    uint64_t pointer, const uint64_t* field, Candidate* end) {
  const uint64_t offset = pointer - heap_base_.value();
  if (offset >= heap_bytes_) return end;  // null, too
  // Acquire, pairs with the span's publisher and sweeper: the mark words are
  // zeroed before their address is here.
  const mheap::PageInfo info(page_info_[offset >> kPageShift].LoadAcquire());
  const auto class_byte = static_cast<uint32_t>(info.word() & 0xff);
  const ClassRecord& record = kClassRecords[class_byte];
  const uint32_t in_span = (info.page_in_span() << kPageShift) +
                           static_cast<uint32_t>(offset % kPageSize);
  const uint32_t index = DivideByMagic(in_span, record.div_magic);
  if (ABSL_PREDICT_FALSE(index >= record.slots())) {
    LookUpSlow(pointer, field);
    return end;
  }
#ifndef NDEBUG
  CheckExactPointer(pointer, field);
#endif
  *end = Candidate(Addr(pointer - in_span), index, info);
  __builtin_prefetch(&end->mark_word());
  return end + 1;
}

// ---- Objects with a pointer bitmap at the end of their page: the commonest.

// The bitmap's word that has the bit of the word at `a`.
inline const Atomic<uint64_t>* BitmapWordOf(Addr a) {
  const uint64_t word_in_page = a.value() % kPageSize / sizeof(uint64_t);
  const Addr bitmap = a.AlignDown(kPageSize) +
                      ByteCount(kPageSize - mheap::kPointerBitmapBytes);
  return bitmap.as<const Atomic<uint64_t>>() + word_in_page / 64;
}

inline uint64_t BitmapOf(Addr slot, uint32_t words) {
  const auto shift = static_cast<uint32_t>(slot.value() / 8 % 64);
  const Atomic<uint64_t>* bitmap = BitmapWordOf(slot);
  uint64_t bits = bitmap[0].LoadRelaxed() >> shift;
  if (shift + words > 64) bits |= bitmap[1].LoadRelaxed() << (64 - shift);
  return bits & LowMask(words);
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline void MarkWorker::ScanPointerBits(
    const uint64_t* words, uint64_t bits) {
  const uint64_t** end = fields_ + field_count_;
  for (; bits != 0; bits &= bits - 1) {
    *end++ = words + CountTrailingZeros(bits);
  }
  field_count_ = static_cast<uint32_t>(end - fields_);
  if (field_count_ >= kBlock) TurnBlocks();
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline void MarkWorker::ScanBitmapObject(
    MarkItem item) {
  const Addr slot = item.address();
  const uint32_t size = item.record().slot_size();
  stats_.scanned_bytes += size;
  uint64_t bits = item.common_pointers();
  TRICOLOR_DCHECK(bits == 0 || bits == BitmapOf(slot, size / 8),
                  "object %p has other pointers than all of its page",
                  slot.pointer());
  if (bits == 0) bits = BitmapOf(slot, size / 8);
  ScanPointerBits(slot.as<const uint64_t>(), bits);
}

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_MARK_INL_H_
