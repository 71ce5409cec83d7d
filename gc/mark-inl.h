// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The inner loop of marking: from an address to its object's mark. It touches
// the page-info table, a class record and the mark word, and nothing of the
// span. Included by the sources of MarkWorker only.

#ifndef TRICOLOR_GC_MARK_INL_H_
#define TRICOLOR_GC_MARK_INL_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "tricolor/base/bits.h"
#include "tricolor/gc/mark_worker.h"
#include "tricolor/mheap/page_info.h"

namespace tricolor::gc {

inline void MarkWorker::SetPageMark(uint64_t page) {
  Atomic<uint64_t>& word = cycle_.heap.page_marks_word(page / 64);
  const uint64_t bit = uint64_t{1} << (page % 64);
  if ((word.LoadRelaxed() & bit) == 0) word.FetchOrRelaxed(bit);
}

inline void MarkWorker::Count(MarkItem item) {
  ++stats_.marked_objects;
  stats_.marked_bytes += item.record().slot_size;
  uint64_t page = (item.address() - heap_base_).value() >> kPageShift;
  if (item.kind() != MarkItem::kPointerBitmap) {
    page -= mheap::PageInfo(page_info_[page].LoadRelaxed()).page_in_span();
  }
  SetPageMark(page);
}

inline void MarkWorker::Push(MarkItem item) {
  if (ABSL_PREDICT_FALSE(!work_.TryPush(item))) PushSlow(item);
}

inline void MarkWorker::Mark(const Candidate& candidate) {
  // Relaxed: a mark says nothing about the object's contents. Those have been
  // published to this thread with the pointer, or before the world stopped.
  const uint64_t old = candidate.word->LoadRelaxed();
  if ((old & candidate.bit) != 0) return;
  if (parallel_) {
    // The old value decides: of two workers that have both found the bit
    // clear, one counts and scans the object.
    const uint64_t before = candidate.word->FetchOrRelaxed(candidate.bit);
    if ((before & candidate.bit) != 0) return;
  } else {
    candidate.word->StoreRelaxed(old | candidate.bit);
  }
  if (candidate.item.kind() == MarkItem::kNoScan) {
    Count(candidate.item);
  } else {
    Push(candidate.item);
  }
}

inline void MarkWorker::MarkOldestCandidate() {
  Mark(candidates_[candidate_head_++ % kCandidateRing]);
}

inline void MarkWorker::AddCandidate(MarkItem item, mheap::MarkWord* word,
                                     uint32_t index) {
  mheap::MarkWord* mark_word = word + (index >> 6);
  __builtin_prefetch(mark_word);
  if (candidate_tail_ - candidate_head_ == kCandidateRing) {
    MarkOldestCandidate();
  }
  candidates_[candidate_tail_++ % kCandidateRing] = {
      item, mark_word, uint64_t{1} << (index & 63)};
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline void MarkWorker::Find(uint64_t pointer) {
  const uint64_t offset = pointer - heap_base_.value();
  if (offset >= heap_bytes_) return;  // null, too
  // Acquire, pairs with the span's publisher and sweeper: the mark words are
  // zeroed before their address is here.
  const mheap::PageInfo info(page_info_[offset >> kPageShift].LoadAcquire());
  const auto class_byte = static_cast<uint32_t>(info.word() & 0xff);
  const ClassRecord record = kClassRecords[class_byte];
  const uint32_t in_span = (info.page_in_span() << kPageShift) +
                           static_cast<uint32_t>(offset % kPageSize);
  const uint32_t index = DivideByMagic(in_span, record.div_magic);
  if (ABSL_PREDICT_FALSE(index >= record.slots())) {
    FindSlow(pointer);
    return;
  }
#ifndef NDEBUG
  CheckExactPointer(pointer);
#endif
  const uint64_t slot = pointer - in_span + index * record.slot_size;
  AddCandidate(MarkItem::Small(slot, class_byte), info.mark_bits(), index);
}

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_MARK_INL_H_
