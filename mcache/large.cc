// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Large objects, each with a span to itself, and marking of slots that are
// taken while a cycle marks.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tricolor/base/units.h"
#include "tricolor/mcache/mcache.h"

namespace tricolor::mcache {

using mheap::MSpan;

namespace {

// In slices, so that no thread is out of the collector's reach for long.
void ZeroInSlices(Addr base, uint64_t bytes, SliceHook* hook) {
  char* const object = base.as<char>();
  for (uint64_t done = 0; done < bytes;) {
    if (done != 0 && hook != nullptr) hook->BetweenSlices(object);
    const uint64_t n = std::min<uint64_t>(bytes - done, MCache::kZeroSlice);
    std::memset(object + done, 0, n);
    done += n;
  }
}

}  // namespace

void* MCache::AllocateLarge(const mheap::ObjectLayout& layout,
                            const TypeInfo& type, SliceHook* hook) {
  MSpan* span = TakeLarge(layout);
  if (span == nullptr) return nullptr;
  const Addr base = span->base();
  // Asked before any safepoint: a sweep may change the answer.
  if (span->needs_zero()) ZeroInSlices(base, span->bytes().value(), hook);
  // Release, after zeroing: a marker that finds the type may scan the object;
  // one that does not has nothing to scan.
  span->set_large_type(&type);
  const uint64_t bytes = span->bytes().value();
  if (sample_points_.on() && sample_points_.TakeLarge(bytes)) {
    Report(base.pointer(), bytes, &type);
  }
  return base.pointer();
}

// The span is complete but for its type. If a cycle goes by while the object is
// zeroed, it is as any other of its age: found on its set, swept, kept because
// the caller's hook has it marked.
MSpan* MCache::TakeLarge(const mheap::ObjectLayout& layout) {
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
  span->TakeLarge(allocate_black_);
  if (allocate_black_) NoteBlack(*span, 1);
  {
    mheap::StatsSection stats(processor_.stats());
    stats->small_allocated[0] += 1;
    stats->large_allocated_bytes += span->bytes().value();
  }
  observer_.HeapLiveChanged(static_cast<int64_t>(span->bytes().value()));
  // Last: on the set the span is found by the next sweep.
  centrals_.of(layout.span_class).PushSwept(*span);
  return span;
}

// While a cycle marks, new objects are black: slots are marked as they are
// taken, and so must the page be, or the page reclaimer would sweep the span
// for nothing.
void MCache::NoteBlack(const MSpan& span, uint64_t slots) {
  black_bytes_ += slots * span.slot_size();
  const uint64_t page = PagesIn(span.base() - heap_.base()).value();
  Atomic<uint64_t>& word = heap_.page_marks_word(page / 64);
  const uint64_t bit = uint64_t{1} << (page % 64);
  if ((word.LoadRelaxed() & bit) == 0) word.FetchOrRelaxed(bit);
}

}  // namespace tricolor::mcache
