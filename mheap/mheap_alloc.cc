// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spans: how they are made, published, and given back.

#include <algorithm>
#include <cstdint>

#include "absl/base/optimization.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/mheap/asan.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::mheap {

using pagealloc::kChunkBytes;
using pagealloc::PageCache;

namespace {

int64_t Signed(ByteCount n) { return static_cast<int64_t>(n.value()); }

bool FromPageCache(PageCount pages, PageCount alignment) {
  return pages < MHeap::kPageCacheLimit && alignment == PageCount(1);
}

// The bits of the window at `window` that stand for the pages of a run.
uint64_t WindowBits(Addr window, Addr base, PageCount pages) {
  return RangeMask(static_cast<unsigned>(PagesIn(base - window).value()),
                   static_cast<unsigned>(pages.value()));
}

}  // namespace

MSpan* MHeap::AllocSpan(ProcessorCache& processor, PageCount pages,
                        SpanClass span_class, PageCount alignment) {
  TRICOLOR_CHECK(
      pages > PageCount(0) && IsPowerOfTwo(alignment.value()) &&
          (span_class.is_large() || pages == PageCount(span_class.pages())),
      "span of %llu pages, aligned to %llu, asked for size class %d",
      static_cast<unsigned long long>(pages.value()),
      static_cast<unsigned long long>(alignment.value()),
      span_class.size_class());
  return Allocate(processor, {.pages = pages,
                              .alignment = alignment,
                              .span_class = span_class,
                              .state = SpanState::kInUse});
}

MSpan* MHeap::AllocSpan(ProcessorCache& processor, SpanClass span_class) {
  return AllocSpan(processor, PageCount(span_class.pages()), span_class);
}

MSpan* MHeap::AllocManual(ProcessorCache& processor, PageCount pages) {
  TRICOLOR_CHECK(pages > PageCount(0), "manual span of 0 pages asked for");
  return Allocate(processor, {.pages = pages,
                              .alignment = PageCount(1),
                              .span_class = SpanClass(),
                              .state = SpanState::kManual});
}

MSpan* MHeap::Allocate(ProcessorCache& processor, const SpanRequest& request) {
  SpanParts parts;
  if (ABSL_PREDICT_FALSE(!TakeFromCaches(processor, request, &parts))) {
    parts.locked = true;
    if (!TakeSlow(processor, request, &parts)) return Refuse(processor, parts);
  }
  // Manual spans are asked for under locks, and with the world stopped: the
  // next heap span makes up for them.
  if (ABSL_PREDICT_FALSE(parts.run.scavenged_bytes != ByteCount(0)) &&
      request.state == SpanState::kInUse) {
    ScavengeAssist(parts.run.scavenged_bytes, parts.growth);
  }
  if (ABSL_PREDICT_FALSE(!CommitPages(request.pages, parts))) {
    MutexLock lock(lock_);
    GiveBack(request.pages, parts);
    return Refuse(processor, parts);
  }
  return request.state == SpanState::kInUse
             ? MakeHeapSpan(processor, request, parts)
             : MakeManualSpan(processor, request, parts);
}

// ---- SpanParts.

bool MHeap::TakeFromCaches(ProcessorCache& processor,
                           const SpanRequest& request, SpanParts* parts) {
  if (!options_.use_processor_caches) return false;
  if (FromPageCache(request.pages, request.alignment)) {
    TakeFromPageCache(processor, request.pages, parts);
  }
  if (processor.span_count_ > 0) {
    parts->span = processor.spans_[--processor.span_count_];
  }
  return parts->run && parts->span != nullptr;
}

void MHeap::TakeFromPageCache(ProcessorCache& processor, PageCount pages,
                              SpanParts* parts) {
  PageCache& cache = processor.pages_;
  const uint64_t scavenged = cache.scavenged_bits();
  parts->run = cache.Alloc(pages);
  parts->window = cache.base();
  parts->scavenged_bits = scavenged & ~cache.scavenged_bits();
}

// What the caches do not have. Sweeping comes before growth, so that a heap
// with garbage in it does not grow; no lock is held meanwhile, for the sweeper
// frees spans.
bool MHeap::TakeSlow(ProcessorCache& processor, const SpanRequest& request,
                     SpanParts* parts) {
  const bool may_sweep =
      sweeper_ != nullptr && request.state == SpanState::kInUse;
  if (!may_sweep) return TakeLocked(processor, request, true, parts);
  if (TakeLocked(processor, request, false, parts)) return true;
  sweeper_->Reclaim(processor, request.pages);
  return TakeLocked(processor, request, true, parts);
}

// When that fails, `parts` keeps what there is, unless the heap may grow: that
// was the last attempt, and everything is given back.
bool MHeap::TakeLocked(ProcessorCache& processor, const SpanRequest& request,
                       bool may_grow, SpanParts* parts) {
  MutexLock lock(lock_);
  if (!parts->run) TakePages(processor, request, parts);
  if (!parts->run && !processor.pages_.Empty()) {
    // What is missing may lie in our own page cache, where freed spans go too.
    processor.pages_.Flush(*pages_);
    TakePages(processor, request, parts);
  }
  const uint64_t grown = grown_bytes_.LoadRelaxed();
  if (!parts->run && may_grow && Grow(request.pages, request.alignment)) {
    parts->growth = ByteCount(grown_bytes_.LoadRelaxed() - grown);
    TakePages(processor, request, parts);
    TRICOLOR_CHECK(parts->run.base != Addr(),
                   "heap at %p grew to %llu bytes and has no run of %llu pages",
                   base_.pointer(),
                   static_cast<unsigned long long>(grown_bytes_.LoadRelaxed()),
                   static_cast<unsigned long long>(request.pages.value()));
  }
  if (parts->span == nullptr) parts->span = TakeStructure(processor);
  if (parts->run && parts->span != nullptr) return true;
  if (may_grow) GiveBack(request.pages, *parts);
  return false;
}

void MHeap::TakePages(ProcessorCache& processor, const SpanRequest& request,
                      SpanParts* parts) {
  if (options_.use_processor_caches &&
      FromPageCache(request.pages, request.alignment)) {
    if (processor.pages_.Empty()) processor.pages_ = pages_->AllocToCache();
    TakeFromPageCache(processor, request.pages, parts);
    if (parts->run) return;
  }
  parts->window = Addr();
  parts->run = request.alignment == PageCount(1)
                   ? pages_->Alloc(request.pages)
                   : pages_->AllocAligned(request.pages, request.alignment);
}

MSpan* MHeap::TakeStructure(ProcessorCache& processor) {
  if (processor.span_count_ > 0) {
    return processor.spans_[--processor.span_count_];
  }
  if (options_.use_processor_caches) {
    while (processor.span_count_ < ProcessorCache::kSpanRefill) {
      MSpan* span = NewStructure();
      if (span == nullptr) break;
      processor.spans_[processor.span_count_++] = span;
    }
    if (processor.span_count_ > 0) {
      return processor.spans_[--processor.span_count_];
    }
  }
  return NewStructure();
}

// A used structure keeps its generation, which an old list may still compare.
MSpan* MHeap::NewStructure() {
  bool fresh = false;
  MSpan* span = span_structures_.Allocate(&fresh);
  if (fresh && span != nullptr) ::new (span) MSpan;
  return span;
}

bool MHeap::CommitPages(PageCount pages, const SpanParts& parts) {
  const pagealloc::PageRun& run = parts.run;
  if (run.scavenged_bytes == ByteCount(0)) return true;
  // The other heap pages of an OS page may be in use; they keep their contents.
  const uint64_t os_page = os_.page_size().value();
  const AddrRange range{run.base.AlignDown(os_page),
                        (run.base + BytesOf(pages)).AlignUp(os_page)};
  if (!os_.Used(range)) return false;
  ready_bytes_.FetchAddRelaxed(run.scavenged_bytes.value());
  return true;
}

// Undoes the taking of parts whose pages have not been committed.
void MHeap::GiveBack(PageCount pages, const SpanParts& parts) {
  if (parts.span != nullptr) span_structures_.Free(parts.span);
  const pagealloc::PageRun& run = parts.run;
  if (!run) return;
  const ByteCount bytes = BytesOf(pages);
  if (!parts.window.is_null()) {
    PageCache(parts.window, WindowBits(parts.window, run.base, pages),
              parts.scavenged_bits)
        .Flush(*pages_);
  } else if (run.scavenged_bytes == ByteCount(0)) {
    pages_->Free(run.base, pages);
  } else {
    // The allocator does not say which pages were scavenged. To call all of
    // them so is safe, for they are committed again before use, but some may
    // hold garbage.
    if (run.scavenged_bytes != bytes) scavenged_is_zero_.StoreRelaxed(false);
    const ByteCount declared = bytes - run.scavenged_bytes;
    CountReleased(Signed(declared));
    ready_bytes_.FetchSubRelaxed(declared.value());
    GiveBackScavenged({run.base, run.base + bytes});
  }
}

void MHeap::GiveBackScavenged(AddrRange range) {
  while (!range.empty()) {
    const Addr chunk_end =
        (range.base + ByteCount(1)).AlignUp(kChunkBytes.value());
    const Addr end = std::min(range.limit, chunk_end);
    pages_->ReturnScavengeCandidate({range.base, end}, true);
    range.base = end;
  }
}

// ---- Spans out of parts.

// Whether the pages may hold anything but zeros, and notes that from now on
// they do. All that the OS keeps for us is zero where it promises that.
bool MHeap::NeedsZero(Addr base, PageCount pages, ByteCount scavenged) {
  const bool fresh = NoteDirty({base, base + BytesOf(pages)});
  const bool all_scavenged = scavenged == BytesOf(pages);
  return !fresh && !(all_scavenged && scavenged_is_zero_.LoadRelaxed());
}

// Raises the zeroed base of the arenas that `range` lies in to its end there.
// True if all of the range lay above it before: nobody has written to it yet.
bool MHeap::NoteDirty(AddrRange range) {
  bool fresh = true;
  uint64_t offset = (range.base - base_).value();
  const uint64_t end = (range.limit - base_).value();
  while (offset < end) {
    const uint64_t arena = offset / kArenaSize.value();
    const uint64_t arena_base = arena * kArenaSize.value();
    const uint64_t first = offset - arena_base;
    const uint64_t limit = std::min(end - arena_base, kArenaSize.value());
    Atomic<uint64_t>& zeroed_base = arenas_[arena].zeroed_base;
    // Relaxed: who had these pages before us gave them back through the heap
    // lock or this processor's cache, and so its store is seen. Stores for
    // other pages may come in any order.
    uint64_t seen = zeroed_base.LoadRelaxed();
    if (first < seen) fresh = false;
    while (seen < limit && !zeroed_base.CompareExchangeRelaxed(seen, limit)) {
      TRICOLOR_CHECK(seen <= first || seen > limit,
                     "pages of the span at %p were handed out twice: the "
                     "arena's zeroed base came to %#llx, between %#llx and "
                     "%#llx",
                     range.base.pointer(),
                     static_cast<unsigned long long>(seen),
                     static_cast<unsigned long long>(first),
                     static_cast<unsigned long long>(limit));
    }
    offset = arena_base + limit;
  }
  return fresh;
}

// Before the span is handed out: nobody frees it, and counts it as freed,
// earlier.
void MHeap::CountAllocated(ProcessorCache& processor,
                           const SpanRequest& request, const SpanParts& parts) {
  const int64_t bytes = Signed(BytesOf(request.pages));
  const int64_t released = Signed(parts.run.scavenged_bytes);
  StatsSection stats(processor.stats_);
  (request.state == SpanState::kInUse ? stats->heap_span_bytes
                                      : stats->manual_span_bytes) += bytes;
  stats->free_bytes -= bytes - released;
  stats->released_bytes -= released;
  stats->alloc_span_calls += 1;
  stats->alloc_span_locked += parts.locked ? 1 : 0;
}

// The call gets no span.
MSpan* MHeap::Refuse(ProcessorCache& processor, const SpanParts& parts) {
  StatsSection stats(processor.stats_);
  stats->alloc_span_calls += 1;
  stats->alloc_span_locked += parts.locked ? 1 : 0;
  return nullptr;
}

// Those of the structure's last span, if they are long enough and of this
// epoch, whose arenas stay as long as the new span may need them. They are
// clean: a span is freed when no object in it was marked, or before a cycle has
// marked.
MarkWord* MHeap::MarkBitsFor(MSpan& span, uint32_t slots, uint32_t shard) {
  const uint32_t epoch = mark_bit_arenas_.epoch();
  if (ABSL_PREDICT_TRUE(span.mark_bits_epoch_ == epoch &&
                        DivideRoundUp(slots, 64) <=
                            DivideRoundUp(span.slots(), 64))) {
    return span.mark_bits();
  }
  MarkWord* bits = mark_bit_arenas_.NewMarkBits(slots, shard);
  span.mark_bits_epoch_ = bits == nullptr ? 0 : epoch;
  return bits;
}

MSpan* MHeap::MakeHeapSpan(ProcessorCache& processor,
                           const SpanRequest& request, SpanParts& parts) {
  MSpan& span = *parts.span;
  const SpanClass span_class = request.span_class;
  const uint32_t slots = span_class.is_large() ? 1 : span_class.slots();
  MarkWord* mark_bits = MarkBitsFor(span, slots, processor.shard());
  if (ABSL_PREDICT_FALSE(mark_bits == nullptr)) {
    // Committed by now, and not scavenged any more.
    const int64_t committed = Signed(parts.run.scavenged_bytes);
    parts.run.scavenged_bytes = ByteCount(0);
    parts.scavenged_bits = 0;
    MutexLock lock(lock_);
    CountReleased(-committed);
    GiveBack(request.pages, parts);
    return Refuse(processor, parts);
  }
  const Addr base = parts.run.base;
  const bool needs_zero =
      NeedsZero(base, request.pages, parts.run.scavenged_bytes);
  span.InitHeap(base, request.pages, span_class, mark_bits, needs_zero);
  span.set_shard(processor.shard());
  span.set_sweep_gen(sweep_gen());
  span.set_state(SpanState::kInUse);
  Publish(span);
  if (!span_class.is_large()) PublishPageInfo(span);
  const uint64_t page = PageIndex(base);
  // Release, pairs with ForEachHeapSpan and the page reclaimer, which come to
  // the span through this bit alone: everything else has to be there.
  page_in_use_word(page / 64).FetchOrRelease(uint64_t{1} << (page % 64));
  CountAllocated(processor, request, parts);
  return &span;
}

MSpan* MHeap::MakeManualSpan(ProcessorCache& processor,
                             const SpanRequest& request,
                             const SpanParts& parts) {
  MSpan& span = *parts.span;
  // Its contents do not matter, but that they are not zero any more does.
  NeedsZero(parts.run.base, request.pages, parts.run.scavenged_bytes);
  span.InitManual(parts.run.base, request.pages);
  span.set_state(SpanState::kManual);
  Publish(span);
  CountAllocated(processor, request, parts);
  return &span;
}

// After the state. Release, pairs with SpanOf: who finds the span by a suspect
// address finds its fields. Addresses of its slots reach other threads only
// later, by whatever publishes the objects.
void MHeap::Publish(MSpan& span) {
  Atomic<MSpan*>* entries = spans_ + PageIndex(span.base());
  const uint64_t pages = span.pages().value();
  for (uint64_t i = 0; i < pages; ++i) entries[i].StoreRelease(&span);
}

void MHeap::PublishPageInfo(const MSpan& span) {
  Atomic<uint64_t>* entries = page_info_ + PageIndex(span.base());
  const MarkWord* marks = span.mark_bits();
  const auto pages = static_cast<uint32_t>(span.pages().value());
  for (uint32_t i = 0; i < pages; ++i) {
    entries[i].StoreRelease(
        PageInfo(span.span_class(), i, marks, span.common_pointers()).word());
  }
}

// Release, as ever for page info. A marker that comes by a pointer to the new
// object finds what is stored here, and one that comes to an older object may
// find either: both are right for it.
void MHeap::NotePointerBitsSlow(MSpan& span, uint64_t bits) {
  if (span.common_pointers_ == 0) return;
  const bool common = span.common_pointers_ == MSpan::kNoObjectsYet &&
                      PageInfo::HasRoomFor(bits);
  span.common_pointers_ = common ? static_cast<uint8_t>(bits) : 0;
  PublishPageInfo(span);
}

// In-use bit, page info, table entries.
void MHeap::Unpublish(MSpan& span) {
  const uint64_t page = PageIndex(span.base());
  const uint64_t pages = span.pages().value();
  if (span.state() == SpanState::kInUse) {
    const uint64_t bit = uint64_t{1} << (page % 64);
    const uint64_t before = page_in_use_word(page / 64).FetchAndRelease(~bit);
    if (ABSL_PREDICT_FALSE((before & bit) == 0)) {
      char description[MSpan::kDescriptionSize];
      Fatal("freed span is freed by another thread: %s",
            span.Describe(description, sizeof description));
    }
    if (!span.is_large()) {
      for (uint64_t i = 0; i < pages; ++i) page_info_[page + i].StoreRelease(0);
    }
    AsanUnpoison(span.base(), span.bytes());
  }
  for (uint64_t i = 0; i < pages; ++i) spans_[page + i].StoreRelease(nullptr);
}

// ---- Freeing.

void MHeap::CheckFreeable(const MSpan* span, SpanState expected) const {
  const SpanState found = span->state();
  const char* fault = nullptr;
  if (found != expected) {
    fault = "is in the wrong state";
  } else if (SpanOf(span->base()) != span) {
    fault = "is not in the heap's tables";
  } else if (expected == SpanState::kInUse) {
    const uint64_t page = PageIndex(span->base());
    if (span->sweep_gen() != sweep_gen()) {
      fault = "has not been swept";
    } else if ((page_specials_word(page / 64).LoadRelaxed() >> (page % 64)) &
               1) {
      fault = "has specials";
    }
  }
  if (ABSL_PREDICT_TRUE(fault == nullptr)) return;
  char description[MSpan::kDescriptionSize];
  Fatal("freed span %s (expected: %s, generation %u): %s", fault,
        SpanStateName(expected), sweep_gen(),
        span->Describe(description, sizeof description));
}

void MHeap::FreeSpan(ProcessorCache& processor, MSpan* span) {
  CheckFreeable(span, SpanState::kInUse);
  Free(processor, span);
}

void MHeap::FreeManual(ProcessorCache& processor, MSpan* span) {
  CheckFreeable(span, SpanState::kManual);
  Free(processor, span);
}

// The end of a span of either kind. What leads to it goes before the state, and
// the state before the pages: whoever gets them next publishes entries of his
// own, and a reader who still holds this span finds it dead.
void MHeap::Free(ProcessorCache& processor, MSpan* span) {
  const Addr base = span->base();
  const PageCount pages = span->pages();
  const bool caching = options_.use_processor_caches;
  const bool pages_kept = caching && InWindow(processor.pages_, base, pages);
  const bool span_kept =
      caching && processor.span_count_ < ProcessorCache::kSpanCapacity;
  const bool locked = !pages_kept || !span_kept;
  CountFreed(processor, *span, locked);
  Unpublish(*span);
  span->set_state(SpanState::kDead);

  if (pages_kept) ReturnToPageCache(processor, base, pages);
  if (ABSL_PREDICT_FALSE(locked)) {
    MutexLock lock(lock_);
    if (!pages_kept) pages_->Free(base, pages);
    if (!caching) return span_structures_.Free(span);
    if (!span_kept) MakeRoomForStructures(processor);
  }
  processor.spans_[processor.span_count_++] = span;
}

// Before the pages go where others find them: whoever takes them counts them as
// taken from the free ones.
void MHeap::CountFreed(ProcessorCache& processor, const MSpan& span,
                       bool locked) {
  const int64_t bytes = Signed(span.bytes());
  StatsSection stats(processor.stats_);
  (span.state() == SpanState::kInUse ? stats->heap_span_bytes
                                     : stats->manual_span_bytes) -= bytes;
  stats->free_bytes += bytes;
  stats->free_span_calls += 1;
  stats->free_span_locked += locked ? 1 : 0;
}

// Half of them at once, so that the next call does not need the lock again.
void MHeap::MakeRoomForStructures(ProcessorCache& processor) {
  while (processor.span_count_ > ProcessorCache::kSpanRefill) {
    span_structures_.Free(processor.spans_[--processor.span_count_]);
  }
}

// A run that came out of the window that the cache still has goes back there:
// to the page allocator its pages have stayed allocated all the time.
bool MHeap::InWindow(const PageCache& cache, Addr base, PageCount pages) {
  const Addr window = cache.base();
  const Addr end = window + BytesOf(PageCount(PageCache::kPages));
  return !window.is_null() && base >= window && base + BytesOf(pages) <= end;
}

void MHeap::ReturnToPageCache(ProcessorCache& processor, Addr base,
                              PageCount pages) {
  const PageCache& cache = processor.pages_;
  const Addr window = cache.base();
  const uint64_t run = WindowBits(window, base, pages);
  TRICOLOR_CHECK((cache.free_bits() & run) == 0,
                 "pages of the span at %p are free in the page cache of %p "
                 "already",
                 base.pointer(), window.pointer());
  processor.pages_ =
      PageCache(window, cache.free_bits() | run, cache.scavenged_bits());
}

}  // namespace tricolor::mheap
