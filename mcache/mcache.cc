// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcache/mcache.h"

#include <algorithm>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/mcache/slot_type.h"
#include "tricolor/mheap/size_classes.h"

namespace tricolor::mcache {

using mheap::MSpan;
using mheap::SlotRun;
using mheap::SpanClass;

namespace {

SpanClass ClassAt(int index) {
  return SpanClass::FromIndex(static_cast<uint8_t>(index));
}

}  // namespace

MCache::MCache(mheap::MHeap& heap, mcentral::MCentrals& centrals,
               mheap::ProcessorCache& processor, AllocationObserver& observer)
    : heap_(heap),
      centrals_(centrals),
      processor_(processor),
      observer_(observer),
      flush_gen_(heap.sweep_gen()) {}

MCache::~MCache() {
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    TRICOLOR_CHECK(spans_[i] == nullptr,
                   "cache %p destroyed with span %p of class %d in it",
                   static_cast<void*>(this), spans_[i]->base().pointer(), i);
  }
}

// ---- Small objects.

void* MCache::AllocateSlow(SpanClass span_class, uint64_t pointer_bits,
                           const TypeInfo* type) {
  CheckFlushed();
  Run& run = runs_[span_class.index()];
  const size_t slot_size = span_class.slot_size();
  bool sampled = false;
  if (run.ended()) {
    const SlotRun taken = TakeRun(span_class, &sampled);
    if (taken.count == 0) return nullptr;
    const MSpan* span = spans_[span_class.index()];
    run = {.next = span->SlotAddress(taken.first).value(),
           .limit = span->SlotAddress(taken.first + taken.count).value()};
  }
  const uintptr_t slot = run.next;
  run.next += slot_size;
  if (span_class.kind() == mheap::SpanKind::kPointerBitmap) {
    heap_.NotePointerBits(*spans_[span_class.index()], pointer_bits);
    WritePointerBitsOfRun(slot, run.limit, slot_size, pointer_bits);
    run.pointer_bits = pointer_bits;
  }
  auto* const object = reinterpret_cast<void*>(slot);
  if (ABSL_PREDICT_FALSE(sampled)) ReportSlot(object, span_class, type);
  return object;
}

bool MCache::WritePointerBits(SpanClass span_class, void* slot, uint64_t bits) {
  // Only the span's owner may write them. No other span can have come here
  // since the slot was taken: the user fetches spans by itself.
  MSpan* span = spans_[span_class.index()];
  if (ABSL_PREDICT_FALSE(span == nullptr)) return false;
  heap_.NotePointerBits(*span, bits);
  mcache::WritePointerBits(slot, span_class.slot_size(), bits);
  return true;
}

// A sampled slot begins a run, so that the fast path need not know of it.
SlotRun MCache::TakeRun(SpanClass span_class, bool* sampled) {
  MSpan* span = spans_[span_class.index()];
  if (span == nullptr || span->full()) span = Refill(span_class);
  if (span == nullptr) return {};
  uint64_t most = std::max(kMaxRunBytes / span->slot_size(), uint64_t{1});
  if (ABSL_PREDICT_FALSE(sample_points_.on())) {
    const SamplePoints::Run run = sample_points_.BeginRun(span_class);
    *sampled = run.sampled;
    most = std::min(most, run.most);
  }
  const SlotRun taken =
      span->TakeFreeRun(static_cast<uint32_t>(most), allocate_black_);
  TRICOLOR_CHECK(taken.count != 0,
                 "span %p has %u of %u slots allocated and none free",
                 span->base().pointer(), span->allocated(), span->slots());
  if (sample_points_.on()) sample_points_.Took(span_class, taken.count);
  if (allocate_black_) NoteBlack(*span, taken.count);
  return taken;
}

// The whole free part of the new span counts as live at once, so that the
// collector's trigger is early rather than late by what is handed out of it.
MSpan* MCache::Refill(SpanClass span_class) {
  MSpan*& current = spans_[span_class.index()];
  if (current != nullptr) GiveBack(span_class);
  MSpan* span = centrals_.of(span_class).CacheSpan(processor_);
  if (span == nullptr) return nullptr;
  const uint32_t sg = heap_.sweep_gen();
  TRICOLOR_CHECK(span->sweep_gen() == sg,
                 "caching span %p of generation %u, expected %u",
                 span->base().pointer(), span->sweep_gen(), sg);
  // In the next sweep this is sg+1: nobody but this cache may sweep it.
  span->set_sweep_gen(sg + 3);
  current = span;
  counted_[span_class.index()] = span->allocated();
  const uint64_t free_slots = span->slots() - span->allocated();
  observer_.HeapLiveChanged(
      static_cast<int64_t>(free_slots * span->slot_size()));
  return span;
}

void MCache::GiveBack(SpanClass span_class) {
  MSpan*& current = spans_[span_class.index()];
  MSpan& span = *current;
  const uint32_t sg = heap_.sweep_gen();
  const uint32_t gen = span.sweep_gen();
  TRICOLOR_CHECK(gen == sg + 3 || gen == sg + 1,
                 "INV-MCACHE-1: cached span %p has generation %u, heap "
                 "generation %u, expected %u or, stale, %u",
                 span.base().pointer(), gen, sg, sg + 3, sg + 1);
  const bool stale = gen == sg + 1;
  EndRun(span_class, stale             ? Tail::kUnmark
                     : allocate_black_ ? Tail::kLeaveAllocated
                                       : Tail::kReturn);
  {
    // Before others get the span, and may find objects in it to free.
    mheap::StatsSection stats(processor_.stats());
    CountAllocated(span_class, *stats);
  }
  // At the end of marking the live heap was counted afresh, so what a stale
  // span had added before is forgotten already.
  if (!stale && !span.full()) {
    const uint64_t unused = span.slots() - span.allocated();
    observer_.HeapLiveChanged(-static_cast<int64_t>(unused * span.slot_size()));
  }
  current = nullptr;
  centrals_.of(span_class).UncacheSpan(processor_, span);
}

// While a cycle marks, an unused slot is marked already, and a conservative
// marker that has seen it as allocated may mark it again at any moment: if it
// became free now, it could end up marked and free. It stays allocated instead,
// as an object that dies with the next cycle.
void MCache::EndRun(SpanClass span_class, Tail tail) {
  Run& run = runs_[span_class.index()];
  const uint32_t unused = UnusedSlots(span_class);
  if (unused != 0 && tail != Tail::kLeaveAllocated) {
    MSpan& span = *spans_[span_class.index()];
    const uint32_t first = span.IndexOf(Addr(run.next));
    if (tail == Tail::kUnmark) span.UnmarkRun({first, unused});
    span.ReturnRunTail(unused);
    if (sample_points_.on()) sample_points_.GaveBack(span_class, unused);
  }
  run = {};
}

uint32_t MCache::UnusedSlots(SpanClass span_class) const {
  const Run& run = runs_[span_class.index()];
  if (run.ended()) return 0;
  return static_cast<uint32_t>((run.limit - run.next) /
                               spans_[span_class.index()]->slot_size());
}

// ---- Tiny objects.

void* MCache::AllocateTiny(size_t size, size_t align) {
  TRICOLOR_DCHECK(
      size != 0 && size < kTinySize && IsPowerOfTwo(align) && align <= 8,
      "tiny object of %zu bytes aligned to %zu", size, align);
  const size_t offset = AlignUp(tiny_offset_, align);
  if (tiny_block_ != 0 && offset + size <= kTinySize) {
    tiny_offset_ = offset + size;
    ++tiny_count_;
    return reinterpret_cast<void*>(tiny_block_ + offset);
  }
  void* block = TryAllocate(kTinyClass, kTinySize);
  if (block == nullptr) block = AllocateSlow(kTinyClass);
  if (block == nullptr) return nullptr;
  // Of the two blocks the one with more room stays current.
  if (tiny_block_ == 0 || size < tiny_offset_) {
    tiny_block_ = reinterpret_cast<uintptr_t>(block);
    tiny_offset_ = size;
  }
  ++tiny_count_;
  return block;
}

// ---- Whatever the type.

void* MCache::Allocate(const TypeInfo& type, uint64_t count, SliceHook* hook) {
  if (count == 0) count = 1;
  if (UsesTinyBlock(type, count)) {
    const size_t bytes = type.size * count + (count > 1 ? 1 : 0);
    return AllocateTiny(std::max(bytes, size_t{1}), type.align);
  }
  const mheap::LayoutResult result = mheap::LayoutFor(type, count);
  if (!result.ok) return nullptr;
  const mheap::ObjectLayout& layout = result.layout;
  if (layout.span_class.is_large()) return AllocateLarge(layout, type, hook);
  const bool has_bits =
      layout.span_class.kind() == mheap::SpanKind::kPointerBitmap;
  const uint64_t bits = has_bits ? mheap::SlotPointerBits(type, count) : 0;
  void* slot = TryAllocate(layout.span_class, layout.slot_bytes);
  if (slot == nullptr) {
    slot = AllocateSlow(layout.span_class, bits, &type);
    if (slot == nullptr) return nullptr;
  } else if (has_bits && !RunHasPointerBits(layout.span_class, bits)) {
    const bool written = WritePointerBits(layout.span_class, slot, bits);
    TRICOLOR_DCHECK(written, "cache %p was flushed inside of an allocation",
                    static_cast<void*>(this));
  }
  if (layout.span_class.kind() == mheap::SpanKind::kTypeHeader) {
    WriteTypeHeader(slot, type);
  }
  return static_cast<char*>(slot) + layout.payload_offset;
}

// ---- Flushing.

void MCache::TakeSlotsInFlight() {
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    if (!runs_[i].ended()) runs_[i].next += ClassAt(i).slot_size();
  }
}

void MCache::ParkRuns() {
  CheckFlushed();
  TRICOLOR_CHECK(!allocate_black_,
                 "cache %p parks its runs while a cycle marks",
                 static_cast<void*>(this));
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    if (spans_[i] != nullptr) EndRun(ClassAt(i), Tail::kReturn);
  }
  tiny_block_ = 0;
}

void MCache::PrepareForSweep() {
  const uint32_t sg = heap_.sweep_gen();
  const uint32_t flushed = flush_gen_.LoadRelaxed();
  if (flushed == sg) return;
  TRICOLOR_CHECK(flushed == sg - 2,
                 "cache %p was last flushed in generation %u, heap generation "
                 "%u, expected %u or %u",
                 static_cast<void*>(this), flushed, sg, sg, sg - 2);
  ReleaseAll();
  // Release: pairs with the acquire in flush_gen() by who starts a cycle, to
  // whom all sweeping done here is then visible.
  flush_gen_.StoreRelease(sg);
}

void MCache::ReleaseAll() {
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    if (spans_[i] != nullptr) GiveBack(ClassAt(i));
  }
  tiny_block_ = 0;
  // An empty cache leaves the statistics alone: no heap may have its processor.
  if (tiny_count_ != 0) PublishStats();
}

void MCache::CheckFlushed() const {
  const uint32_t sg = heap_.sweep_gen();
  const uint32_t flushed = flush_gen_.LoadRelaxed();
  TRICOLOR_CHECK(flushed == sg,
                 "cache %p is used unflushed: last flushed in generation %u, "
                 "heap generation %u",
                 static_cast<const void*>(this), flushed, sg);
}

// ---- Statistics and checks.

void MCache::CountAllocated(SpanClass span_class, mheap::HeapStats& stats) {
  const uint32_t used =
      spans_[span_class.index()]->allocated() - UnusedSlots(span_class);
  uint32_t& counted = counted_[span_class.index()];
  stats.small_allocated[span_class.size_class()] += used - counted;
  counted = used;
}

void MCache::PublishStats() {
  mheap::StatsSection stats(processor_.stats());
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    if (spans_[i] != nullptr) CountAllocated(ClassAt(i), *stats);
  }
  stats->tiny_allocated += tiny_count_;
  tiny_count_ = 0;
}

void MCache::CheckInvariants() const {
  const uint32_t sg = heap_.sweep_gen();
  const bool flushed = flush_gen_.LoadRelaxed() == sg;
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    const Run& run = runs_[i];
    const MSpan* span = spans_[i];
    TRICOLOR_CHECK(run.limit == 0 || (span != nullptr && run.next <= run.limit),
                   "INV-MCACHE-2: run [%zx, %zx) of class %d, span %p",
                   size_t{run.next}, size_t{run.limit}, i,
                   static_cast<const void*>(span));
    if (span == nullptr) continue;
    const uint32_t gen = span->sweep_gen();
    TRICOLOR_CHECK(gen == (flushed ? sg + 3 : sg + 1) &&
                       span->span_class() == ClassAt(i) &&
                       span->state() == mheap::SpanState::kInUse,
                   "INV-MCACHE-1: span %p of class %u in place %d, state %d, "
                   "generation %u, heap %u",
                   span->base().pointer(), span->span_class().index(), i,
                   static_cast<int>(span->state()), gen, sg);
    if (run.ended()) continue;
    TRICOLOR_CHECK(
        span->base().value() <= run.next &&
            run.limit <= span->limit().value() &&
            !span->IsFree(span->IndexOf(Addr(run.next))) &&
            counted_[i] + UnusedSlots(ClassAt(i)) <= span->allocated(),
        "INV-MCACHE-2: run [%zx, %zx) of span %p, %u of %u slots "
        "allocated, %u counted",
        size_t{run.next}, size_t{run.limit}, span->base().pointer(),
        span->allocated(), span->slots(), counted_[i]);
  }
}

}  // namespace tricolor::mcache
