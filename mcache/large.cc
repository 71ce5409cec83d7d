// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Large objects, each with a span to itself, and marking of slots that are
// taken while a cycle marks.

#include <algorithm>

#include "tricolor/base/check.h"
#include "tricolor/mcache/mcache.h"

namespace tricolor::mcache {

using mheap::MSpan;
using mheap::SlotRun;

void* MCache::AllocateLarge(const mheap::ObjectLayout& layout,
                            const TypeInfo& type) {
  CheckFlushed();
  if (layout.slot_bytes > mheap::kMaxObjectBytes) return nullptr;
  const PageCount pages = PagesFor(ByteCount(layout.slot_bytes));
  const PageCount alignment =
      std::max(PagesFor(ByteCount(layout.large_alignment)), PageCount(1));
  if (mheap::SpanSweeper* sweeper = heap_.sweeper()) {
    sweeper->PayForSpan(processor_, BytesOf(pages));
  }
  MSpan* span =
      heap_.AllocSpan(processor_, pages, layout.span_class, alignment);
  if (span == nullptr) return nullptr;
  // Zeroes the object. Until then the slot is free to a conservative marker.
  const SlotRun taken = span->TakeFreeRun(1);
  TRICOLOR_CHECK(taken.count == 1, "new large span %p has no free slot",
                 span->base().pointer());
  if (allocate_black_) MarkTaken(*span, taken);
  mheap::HeapStatsDelta& stats = processor_.stats();
  stats.small_allocated[0].AddOwned(1);
  stats.large_allocated_bytes.AddOwned(span->bytes().value());
  observer_.HeapLiveChanged(static_cast<int64_t>(span->bytes().value()));
  const Addr base = span->base();
  // Release, after zeroing and marking: a marker that finds the type may scan
  // the object; one that does not has nothing to scan.
  span->set_large_type(&type);
  // Last: on the set the span is found by the next sweep.
  centrals_.of(layout.span_class).PushSwept(*span);
  return base.pointer();
}

// While a cycle marks, new objects are black: the slots are marked before any
// of them is handed out, and so is the page, or the page reclaimer would sweep
// the span for nothing.
void MCache::MarkTaken(MSpan& span, SlotRun run) {
  span.MarkRun(run);
  const uint64_t page = PagesIn(span.base() - heap_.base()).value();
  Atomic<uint64_t>& word = heap_.page_marks_word(page / 64);
  const uint64_t bit = uint64_t{1} << (page % 64);
  if ((word.LoadRelaxed() & bit) == 0) word.FetchOrRelaxed(bit);
}

}  // namespace tricolor::mcache
