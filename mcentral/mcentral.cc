// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcentral/mcentral.h"

#include <cstdint>
#include <new>
#include <type_traits>

#include "tricolor/base/check.h"
#include "tricolor/base/saturating.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/span_sweeper.h"

namespace tricolor::mcentral {

using mheap::kShards;
using mheap::MSpan;
using mheap::ProcessorCache;
using mheap::SpanClass;
using mheap::SpanSet;
using mheap::SpanState;
using mheap::SpanSweeper;

// ---- One class.

MSpan* MCentral::CacheSpan(ProcessorCache& processor) {
  const PageCount pages(mheap::kClassPages[span_class_.size_class()]);
  int budget = kSpanBudget;
  MSpan* span = SweepOwn(processor, budget);
  if (SpanSweeper* sweeper = centrals_.heap_.sweeper()) {
    sweeper->PayForSpan(processor, BytesOf(pages));
  }
  if (span == nullptr) span = TakeListed(processor, budget);
  if (span == nullptr) span = Grow(processor);
  if (span != nullptr) {
    CheckTaken(*span);
    span->set_shard(processor.shard());
  }
  return span;
}

// Something has to be swept for each span that is taken, to be done before the
// next cycle: best one that can be taken.
MSpan* MCentral::SweepOwn(ProcessorCache& processor, int& budget) {
  CentralLists* lists = lists_of(processor.shard());
  SpanSweeper* sweeper = centrals_.heap_.sweeper();
  if (lists == nullptr || sweeper == nullptr || !sweeper->Begin(processor)) {
    return nullptr;
  }
  const uint32_t sg = centrals_.heap_.sweep_gen();
  int one = 1;
  MSpan* span = SweepUnswept(processor, *lists, sg, one);
  budget -= 1 - one;
  sweeper->End(processor);
  return span;
}

MSpan* MCentral::PopSwept(CentralLists& lists, uint32_t sg) {
  MSpan* span = lists.partial_swept(sg).Pop();
  if (span != nullptr && span->allocated() == 0) centrals_.TookEmpty(*span);
  return span;
}

// A swept span costs less than one that has still to be swept, and one of the
// own shard less than others: its structure, marks and memory were last written
// here.
MSpan* MCentral::TakeListed(ProcessorCache& processor, int budget) {
  const uint32_t sg = centrals_.heap_.sweep_gen();
  const uint32_t own = processor.shard();
  CentralLists* lists = lists_of(own);
  if (lists != nullptr) {
    if (MSpan* span = PopSwept(*lists, sg)) return span;
  }
  SpanSweeper* sweeper = centrals_.heap_.sweeper();
  const bool sweeping = sweeper != nullptr && sweeper->Begin(processor);
  MSpan* span = nullptr;
  for (uint32_t i = 0; i < kShards && span == nullptr; ++i) {
    lists = lists_of((own + i) % kShards);
    if (lists == nullptr) continue;
    span = PopSwept(*lists, sg);
    if (span != nullptr || !sweeping) continue;
    span = SweepUnswept(processor, *lists, sg, budget);
  }
  if (sweeping) sweeper->End(processor);
  return span;
}

MSpan* MCentral::SweepUnswept(ProcessorCache& processor, CentralLists& lists,
                              uint32_t sg, int& budget) {
  MSpan* span = SweepFrom(processor, lists.partial_unswept(sg), budget);
  if (span != nullptr) return span;
  return SweepFrom(processor, lists.full_unswept(sg), budget);
}

// An entry whose span cannot be acquired has been swept by someone else since
// the sweep began (and perhaps cached, freed or reused), and is dropped: its
// sweeper has put the span where it belongs.
MSpan* MCentral::SweepFrom(ProcessorCache& processor, SpanSet& unswept,
                           int& budget) {
  const uint32_t sg = centrals_.heap_.sweep_gen();
  for (; budget > 0; --budget) {
    MSpan* span = unswept.Pop();
    if (span == nullptr) return nullptr;
    if (!span->TryAcquireForSweep(sg)) continue;
    centrals_.heap_.sweeper()->SweepAndKeep(processor, *span);
    if (!span->full()) return span;
    PushSwept(*span);
  }
  return nullptr;
}

// Before it refuses, the page heap has made the sweeper free whole spans; what
// is left to try is the rest of this class, whatever it costs.
MSpan* MCentral::Grow(ProcessorCache& processor) {
  MSpan* span = centrals_.heap_.AllocSpan(processor, span_class_);
  return span != nullptr ? span : TakeListed(processor, kNoBudget);
}

void MCentral::UncacheSpan(ProcessorCache& processor, MSpan& span) {
  const uint32_t sg = centrals_.heap_.sweep_gen();
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
  centrals_.heap_.sweeper()->SweepAndKeep(processor, span);
  if (span.allocated() == 0) {
    centrals_.heap_.FreeSpan(processor, &span);
  } else {
    PushSwept(span);
  }
}

void MCentral::PushSwept(MSpan& span) {
  const uint32_t sg = centrals_.heap_.sweep_gen();
  TRICOLOR_CHECK(span.sweep_gen() == sg && span.span_class() == span_class_,
                 "listing span %p of class %u, generation %u, as swept in "
                 "class %u, heap generation %u",
                 span.base().pointer(), span.span_class().index(),
                 span.sweep_gen(), span_class_.index(), sg);
  centrals_.List(*this, span);
}

void MCentral::CheckTaken(const MSpan& span) const {
  const uint32_t sg = centrals_.heap_.sweep_gen();
  TRICOLOR_CHECK(span.state() == SpanState::kInUse && span.sweep_gen() == sg &&
                     !span.full() && span.span_class() == span_class_,
                 "span %p to be cached in class %u: state %d, class %u, "
                 "generation %u (heap %u), %u of %u slots allocated",
                 span.base().pointer(), span_class_.index(),
                 static_cast<int>(span.state()), span.span_class().index(),
                 span.sweep_gen(), sg, span.allocated(), span.slots());
}

void MCentral::CheckInvariants() {
  const uint32_t sg = centrals_.heap_.sweep_gen();
  for (uint32_t i = 0; i < kShards; ++i) {
    CentralLists* lists = lists_of(i);
    if (lists == nullptr) continue;
    CheckSwept(lists->partial_swept(sg), false);
    CheckSwept(lists->full_swept(sg), true);
  }
}

// Takes each entry out and puts it back, for there is no other way to look.
void MCentral::CheckSwept(SpanSet& set, bool full) {
  const uint32_t sg = centrals_.heap_.sweep_gen();
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
    if (!set.Push(span)) centrals_.unlisted_.FetchAddRelaxed(1);
  }
}

// ---- All classes.

MCentrals::MCentrals(mheap::MHeap& heap)
    : heap_(heap), centrals_(nullptr), shards_(nullptr) {
  void* shards = heap.metadata().Allocate(ByteCount(sizeof(Shard) * kShards),
                                          alignof(Shard));
  void* centrals = heap.metadata().Allocate(
      ByteCount(sizeof(MCentral) * mheap::kSpanClasses), alignof(MCentral));
  if (shards == nullptr || centrals == nullptr) return;
  // Zero bytes are counts of 0 and null lists.
  shards_ = static_cast<Shard*>(shards);
  centrals_ = static_cast<MCentral*>(centrals);
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    ::new (centrals_ + i)
        MCentral(*this, SpanClass::FromIndex(static_cast<uint8_t>(i)));
  }
}

// The lists own nothing but heap metadata, which goes with the heap.
static_assert(std::is_trivially_destructible_v<MCentral>);
static_assert(std::is_trivially_destructible_v<CentralLists>);

CentralLists* MCentrals::MakeLists(MCentral& central, uint32_t shard) {
  MutexLock lock(mutex_);
  if (CentralLists* lists = central.lists_of(shard)) return lists;
  void* memory = heap_.metadata().Allocate(ByteCount(sizeof(CentralLists)),
                                           alignof(CentralLists));
  if (memory == nullptr) return nullptr;
  auto* const lists = ::new (memory) CentralLists(heap_.span_set_blocks());
  Shard& s = shards_[shard];
  const uint32_t place = s.count.LoadRelaxed();
  s.lists[place].StoreRelaxed(lists);
  // Release, pairs with PopUnswept and ResetUnswept: the lists are there.
  s.count.StoreRelease(place + 1);
  // Release, pairs with lists_of.
  central.lists_[shard].StoreRelease(lists);
  return lists;
}

void MCentrals::List(MCentral& central, MSpan& span) {
  CentralLists* lists = central.lists_of(span.shard());
  if (ABSL_PREDICT_FALSE(lists == nullptr)) {
    lists = MakeLists(central, span.shard());
  }
  const uint32_t sg = heap_.sweep_gen();
  if (ABSL_PREDICT_FALSE(
          lists == nullptr ||
          !(span.full() ? lists->full_swept(sg) : lists->partial_swept(sg))
               .Push(&span))) {
    unlisted_.FetchAddRelaxed(1);
  }
}

bool MCentrals::KeepsEmpty(const MSpan& span) {
  if (span.is_large()) return false;
  Atomic<uint64_t>& kept = shards_[span.shard()].kept;
  const uint64_t before = kept.LoadRelaxed();
  if (before >= kMostKept) return false;
  kept.StoreRelaxed(before + span.pages().value());
  return true;
}

void MCentrals::TookEmpty(const MSpan& span) {
  Atomic<uint64_t>& kept = shards_[span.shard()].kept;
  kept.StoreRelaxed(SaturatingSub(kept.LoadRelaxed(), span.pages().value()));
}

// Of each class the full spans come first. Lists that are made meanwhile have
// nothing unswept.
MSpan* MCentrals::PopUnswept(uint32_t shard, uint32_t* place) {
  const uint32_t sg = heap_.sweep_gen();
  Shard& s = shards_[shard];
  const uint32_t end = 2 * s.count.LoadAcquire();
  for (; *place < end; ++*place) {
    CentralLists& lists = *s.lists[*place / 2].LoadRelaxed();
    SpanSet& set =
        *place % 2 == 0 ? lists.full_unswept(sg) : lists.partial_unswept(sg);
    if (MSpan* span = set.Pop()) return span;
  }
  return nullptr;
}

void MCentrals::ResetUnswept() {
  const uint32_t sg = heap_.sweep_gen();
  for (uint32_t shard = 0; shard < kShards; ++shard) {
    Shard& s = shards_[shard];
    s.kept.StoreRelaxed(0);
    const uint32_t count = s.count.LoadAcquire();
    for (uint32_t i = 0; i < count; ++i) {
      CentralLists& lists = *s.lists[i].LoadRelaxed();
      for (SpanSet* set :
           {&lists.partial_unswept(sg), &lists.full_unswept(sg)}) {
        TRICOLOR_CHECK(set->Empty(),
                       "INV-MCENTRAL-2: %u unswept spans in lists %u of shard "
                       "%u at the end of sweep generation %u, expected 0",
                       set->Size(), i, shard, sg);
        set->Reset();
      }
    }
  }
}

void MCentrals::CheckInvariants() {
  for (int i = 0; i < mheap::kSpanClasses; ++i) centrals_[i].CheckInvariants();
}

}  // namespace tricolor::mcentral
