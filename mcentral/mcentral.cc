// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcentral/mcentral.h"

#include <new>
#include <type_traits>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/span_sweeper.h"

namespace tricolor::mcentral {

using mheap::MSpan;
using mheap::ProcessorCache;
using mheap::SpanClass;
using mheap::SpanSet;
using mheap::SpanState;
using mheap::SpanSweeper;

MCentral::MCentral(mheap::MHeap& heap, SpanClass span_class,
                   Atomic<uint64_t>& unlisted)
    : heap_(heap),
      span_class_(span_class),
      unlisted_(unlisted),
      partial_{SpanSet(heap.span_set_blocks()),
               SpanSet(heap.span_set_blocks())},
      full_{SpanSet(heap.span_set_blocks()), SpanSet(heap.span_set_blocks())} {}

MSpan* MCentral::CacheSpan(ProcessorCache& processor) {
  const PageCount pages(mheap::kClassPages[span_class_.size_class()]);
  if (SpanSweeper* sweeper = heap_.sweeper()) {
    sweeper->PayForSpan(processor, BytesOf(pages));
  }
  MSpan* span = partial_swept().Pop();
  if (span == nullptr) span = SweepForSpan(processor, kSpanBudget);
  if (span == nullptr) span = Grow(processor);
  if (span != nullptr) CheckTaken(*span);
  return span;
}

MSpan* MCentral::SweepForSpan(ProcessorCache& processor, int budget) {
  SpanSweeper* sweeper = heap_.sweeper();
  if (sweeper == nullptr || !sweeper->Begin()) return nullptr;
  MSpan* span = SweepFrom(processor, partial_unswept(), budget);
  if (span == nullptr) span = SweepFrom(processor, full_unswept(), budget);
  sweeper->End();
  return span;
}

// An entry whose span cannot be acquired has been swept by someone else since
// the sweep began (and perhaps cached, freed or reused), and is dropped: its
// sweeper has put the span where it belongs.
MSpan* MCentral::SweepFrom(ProcessorCache& processor, SpanSet& unswept,
                           int& budget) {
  const uint32_t sg = heap_.sweep_gen();
  for (; budget > 0; --budget) {
    MSpan* span = unswept.Pop();
    if (span == nullptr) return nullptr;
    if (!span->TryAcquireForSweep(sg)) continue;
    heap_.sweeper()->SweepAndKeep(processor, *span);
    if (!span->full()) return span;
    PushSwept(*span);
  }
  return nullptr;
}

// Before it refuses, the page heap has made the sweeper free whole spans; what
// is left to try is the rest of this class, whatever it costs.
MSpan* MCentral::Grow(ProcessorCache& processor) {
  MSpan* span = heap_.AllocSpan(processor, span_class_);
  if (span == nullptr) span = SweepForSpan(processor, kNoBudget);
  if (span == nullptr) span = partial_swept().Pop();
  return span;
}

void MCentral::UncacheSpan(ProcessorCache& processor, MSpan& span) {
  const uint32_t sg = heap_.sweep_gen();
  const uint32_t gen = span.sweep_gen();
  if (gen == sg + 3) {
    span.set_sweep_gen(sg);
    PushSwept(span);
    return;
  }
  TRICOLOR_CHECK(gen == sg + 1,
                 "uncaching span %p of generation %u: heap generation %u, "
                 "expected %u (cached) or %u (stale)",
                 span.base().pointer(), gen, sg, sg + 3, sg + 1);
  // Its cache alone may sweep a stale span, so no compare-and-swap is needed:
  // TryAcquireForSweep fails for sg+1 as for sg-1.
  span.set_sweep_gen(sg - 1);
  heap_.sweeper()->SweepAndKeep(processor, span);
  if (span.allocated() == 0) {
    heap_.FreeSpan(processor, &span);
  } else {
    PushSwept(span);
  }
}

void MCentral::PushSwept(MSpan& span) {
  const uint32_t sg = heap_.sweep_gen();
  TRICOLOR_CHECK(span.sweep_gen() == sg && span.span_class() == span_class_,
                 "listing span %p of class %u, generation %u, as swept in "
                 "class %u, heap generation %u",
                 span.base().pointer(), span.span_class().index(),
                 span.sweep_gen(), span_class_.index(), sg);
  List(span.full() ? full_swept() : partial_swept(), span);
}

// A refusal leaves the span swept, in use and on no set, where nobody can take
// it from. Relaxed: the count is taken with the world stopped.
void MCentral::List(SpanSet& set, MSpan& span) {
  if (ABSL_PREDICT_FALSE(!set.Push(&span))) unlisted_.FetchAddRelaxed(1);
}

MSpan* MCentral::PopUnsweptPartial() { return partial_unswept().Pop(); }

MSpan* MCentral::PopUnsweptFull() { return full_unswept().Pop(); }

void MCentral::ResetUnswept() {
  for (SpanSet* set : {&partial_unswept(), &full_unswept()}) {
    TRICOLOR_CHECK(set->Empty(),
                   "INV-MCENTRAL-2: %u unswept spans of class %u at the end of "
                   "sweep generation %u, expected 0",
                   set->Size(), span_class_.index(), heap_.sweep_gen());
    set->Reset();
  }
}

void MCentral::CheckTaken(const MSpan& span) const {
  const uint32_t sg = heap_.sweep_gen();
  TRICOLOR_CHECK(span.state() == SpanState::kInUse && span.sweep_gen() == sg &&
                     !span.full() && span.span_class() == span_class_,
                 "span %p to be cached in class %u: state %d, class %u, "
                 "generation %u (heap %u), %u of %u slots allocated",
                 span.base().pointer(), span_class_.index(),
                 static_cast<int>(span.state()), span.span_class().index(),
                 span.sweep_gen(), sg, span.allocated(), span.slots());
}

void MCentral::CheckInvariants() {
  CheckSwept(partial_swept(), false);
  CheckSwept(full_swept(), true);
}

// Takes each entry out and puts it back, for there is no other way to look.
void MCentral::CheckSwept(SpanSet& set, bool full) {
  const uint32_t sg = heap_.sweep_gen();
  for (uint32_t left = set.Size(); left > 0; --left) {
    MSpan* span = set.Pop();
    TRICOLOR_CHECK(span != nullptr, "class %u: %u entries more than spans",
                   span_class_.index(), left);
    TRICOLOR_CHECK(
        span->state() == SpanState::kInUse && span->sweep_gen() == sg &&
            span->full() == full && span->span_class() == span_class_,
        "span %p listed as swept and %s in class %u: state %d, "
        "class %u, generation %u (heap %u), %u of %u slots",
        span->base().pointer(), full ? "full" : "partial", span_class_.index(),
        static_cast<int>(span->state()), span->span_class().index(),
        span->sweep_gen(), sg, span->allocated(), span->slots());
    List(set, *span);
  }
}

MCentrals::MCentrals(mheap::MHeap& heap) : centrals_(nullptr) {
  void* memory = heap.metadata().Allocate(
      ByteCount(sizeof(MCentral) * mheap::kSpanClasses), alignof(MCentral));
  if (memory == nullptr) return;
  centrals_ = static_cast<MCentral*>(memory);
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    ::new (centrals_ + i) MCentral(
        heap, SpanClass::FromIndex(static_cast<uint8_t>(i)), unlisted_);
  }
}

// The lists own nothing but heap metadata, which goes with the heap.
static_assert(std::is_trivially_destructible_v<MCentral>);

void MCentrals::CheckInvariants() {
  for (int i = 0; i < mheap::kSpanClasses; ++i) centrals_[i].CheckInvariants();
}

}  // namespace tricolor::mcentral
