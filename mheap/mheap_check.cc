// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MHeap::CheckInvariants. The invariants' numbers are those of docs/mheap.md.

#include <bit>
#include <cstdint>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/base/mutex.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::mheap {

using pagealloc::kChunkBytes;
using pagealloc::kChunkPages;

// One walk over the pages that have been grown, which sums up what it sees.
class MHeap::Checker {
 public:
  explicit Checker(const MHeap& heap) : heap_(heap) {}

  void Run() {
    CheckPages();
    // The locks that these take come before the heap lock.
    heap_.ForEachHeapSpan([this](MSpan& span) {
      CheckSpecials(span);
      CheckBits(span);
      CountUnswept(span);
    });
    heap_.mark_bit_arenas_.CheckInvariants();
    heap_.mark_bit_arenas_.CheckReserve(unswept_);
    heap_.metadata_.CheckInvariants();
  }

 private:
  using Number = unsigned long long;  // for reports

  static bool Bit(const Atomic<uint64_t>& word, uint64_t page) {
    return ((word.LoadRelaxed() >> (page % 64)) & 1) != 0;
  }
  bool InUse(uint64_t page) const {
    return Bit(heap_.page_in_use_word(page / 64), page);
  }
  bool HasSpecials(uint64_t page) const {
    return Bit(heap_.page_specials_word(page / 64), page);
  }
  uint64_t InfoWord(uint64_t page) const {
    return heap_.page_info_[page].LoadRelaxed();
  }
  bool Allocated(uint64_t page) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(heap_.lock_) {
    const Addr chunk = heap_.AddressOfPage(page).AlignDown(kChunkBytes.value());
    return heap_.pages_->ChunkForTest(chunk).used().Get(
        static_cast<uint32_t>(page % kChunkPages));
  }

  void CheckPages() {
    MutexLock lock(heap_.lock_);
    heap_.pages_->CheckInvariants();
    heap_.span_structures_.CheckInvariants();
    const uint64_t pages = PagesIn(heap_.grown()).value();
    for (uint64_t page = 0; page < pages;) {
      MSpan* span = heap_.spans_[page].LoadAcquire();
      if (span == nullptr) {
        CheckUnowned(page);
        ++page;
      } else {
        CheckSpan(*span, page);
        page += span->pages().value();
      }
    }
    CheckSums();
  }

  // INV-MHEAP-1, -2, -3 for a page that no span owns.
  void CheckUnowned(uint64_t page) const {
    TRICOLOR_CHECK(!InUse(page) && !HasSpecials(page) && InfoWord(page) == 0,
                   "page %p has no span, but in-use bit %d, specials bit %d, "
                   "page info %#llx",
                   heap_.AddressOfPage(page).pointer(), InUse(page),
                   HasSpecials(page), static_cast<Number>(InfoWord(page)));
  }

  void CheckSpan(MSpan& span, uint64_t page)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(heap_.lock_) {
    const SpanState state = span.state();
    const bool heap_span = state == SpanState::kInUse;
    const bool is_there = state != SpanState::kDead &&
                          span.base() == heap_.AddressOfPage(page) &&
                          span.pages() > PageCount(0);
    if (!is_there) Report(span, page, "is dead or belongs elsewhere");
    for (uint64_t i = 0; i < span.pages().value(); ++i) {
      if (heap_.spans_[page + i].LoadRelaxed() != &span || !Allocated(page + i))
        Report(span, page + i, "does not own its page");
      if (InUse(page + i) != (heap_span && i == 0))
        Report(span, page + i, "has a wrong in-use bit");
      if (InfoWord(page + i) != ExpectedInfo(span, i))
        Report(span, page + i, "has wrong page info");
      if (i != 0 && HasSpecials(page + i))
        Report(span, page + i, "has a specials bit on an inner page");
    }
    ++spans_;
    (heap_span ? heap_pages_ : manual_pages_) += span.pages().value();
    if (heap_span) CheckHeapSpan(span, page);
    if (!heap_span && HasSpecials(page))
      Report(span, page, "has a specials bit");
  }

  static uint64_t ExpectedInfo(const MSpan& span, uint64_t i) {
    if (span.state() != SpanState::kInUse || span.is_large()) return 0;
    return PageInfo(span.span_class(), static_cast<uint32_t>(i),
                    span.mark_bits(), span.common_pointers())
        .word();
  }

  // INV-MHEAP-4.
  void CheckHeapSpan(const MSpan& span, uint64_t page) const {
    const MarkWord* alloc_bits = span.alloc_bits_.LoadRelaxed();
    if (span.slots() == 0 || span.limit() > span.base() + span.bytes() ||
        span.allocated() > span.slots() || alloc_bits == nullptr ||
        span.mark_bits() == nullptr || span.mark_bits() == alloc_bits)
      Report(span, page, "has impossible fields");
    uint32_t free = 0;
    for (uint32_t i = 0; i < span.slots(); ++i) {
      if (span.IsFree(i)) {
        ++free;
      } else if (span.common_pointers() != 0 &&
                 span.PointerBits(i) != span.common_pointers()) {
        Report(span, page,
               "has an object with other pointers (INV-MHEAP-COMMON)");
      }
    }
    if (free + span.allocated() != span.slots())
      Report(span, page, "counts other slots than its bits say");
  }

  // INV-MHEAP-7.
  void CheckSpecials(MSpan& span) const {
    const uint64_t page = heap_.PageIndex(span.base());
    MutexLock lock(span.specials_mutex());
    const Special* previous = nullptr;
    for (const Special* s = span.specials(); s != nullptr; s = s->next) {
      const bool sorted =
          previous == nullptr || previous->object_index < s->object_index ||
          (previous->object_index == s->object_index &&
           (previous->kind < s->kind ||
            (previous->kind == s->kind && s->kind == SpecialKind::kCleanup)));
      if (!sorted || s->object_index >= span.slots())
        Report(span, page, "has specials out of order");
      previous = s;
    }
    if (HasSpecials(page) != (previous != nullptr))
      Report(span, page, "has a specials bit that disagrees with its list");
  }

  // INV-MHEAP-MARKBITS.
  void CheckBits(const MSpan& span) const {
    const MarkBitArenas& arenas = heap_.mark_bit_arenas_;
    const MarkWord* alloc_bits = span.alloc_bits_.LoadRelaxed();
    if ((alloc_bits != MSpan::kNoneLive && !arenas.IsLive(alloc_bits)) ||
        !arenas.IsLive(span.mark_bits())) {
      Report(span, heap_.PageIndex(span.base()), "has recycled bitmaps");
    }
  }

  // For INV-MHEAP-MARKRESERVE. Generations are as in mspan.h.
  void CountUnswept(const MSpan& span) {
    const uint64_t words = DivideRoundUp(span.slots(), 64);
    const uint32_t ahead = span.sweep_gen() - heap_.sweep_gen();
    unswept_.all_words += words;
    if (ahead != 0 && ahead != 3) unswept_.words += words;
  }

  // INV-MHEAP-5, -6; the identities of the statistics when they are read.
  void CheckSums() ABSL_EXCLUSIVE_LOCKS_REQUIRED(heap_.lock_) {
    const HeapStats stats = heap_.ReadStats();
    uint64_t cached = 0;
    uint64_t cached_scavenged = 0;
    uint64_t structures = spans_;
    for (const ProcessorCache* p = heap_.processors_; p != nullptr;
         p = p->next_) {
      p->pages_.CheckInvariants();
      cached += p->pages_.free_pages().value();
      cached_scavenged +=
          static_cast<uint64_t>(std::popcount(p->pages_.scavenged_bits()));
      structures += p->span_count_;
    }
    const uint64_t mapped = PagesIn(heap_.mapped()).value();
    const uint64_t free = heap_.pages_->free_pages().value();
    const uint64_t released =
        heap_.pages_->scavenged_pages().value() + cached_scavenged;
    heap_.huge_chunks_.CheckInvariants();
    Equal("heap span bytes", Unsigned(stats.heap_span_bytes),
          heap_pages_ * kPageSize);
    Equal("manual span bytes", Unsigned(stats.manual_span_bytes),
          manual_pages_ * kPageSize);
    Equal("released bytes", Unsigned(stats.released_bytes),
          released * kPageSize);
    Equal("mapped bytes", Unsigned(stats.mapped_bytes), mapped * kPageSize);
    Equal("ready bytes", heap_.ready().value(),
          (mapped - released) * kPageSize);
    const uint64_t in_flight = heap_.pages_in_flight_.value();
    Equal("pages mapped", mapped,
          heap_pages_ + manual_pages_ + free + cached + in_flight);
    Equal("pages added", heap_.pages_->total_pages().value(), mapped);
    Equal("span structures", heap_.span_structures_.in_use(), structures);
    TRICOLOR_CHECK(released <= free + cached,
                   "heap at %p has %llu pages released of %llu free",
                   heap_.base().pointer(), static_cast<Number>(released),
                   static_cast<Number>(free + cached));
  }

  static uint64_t Unsigned(int64_t n) { return static_cast<uint64_t>(n); }

  void Equal(const char* what, uint64_t counted, uint64_t seen) const {
    TRICOLOR_CHECK(counted == seen, "heap at %p: %s: counted %llu, seen %llu",
                   heap_.base().pointer(), what, static_cast<Number>(counted),
                   static_cast<Number>(seen));
  }

  [[noreturn]] void Report(const MSpan& span, uint64_t page,
                           const char* fault) const {
    char description[MSpan::kDescriptionSize];
    Fatal(
        "the span that owns page %p %s (in-use bit %d, specials bit %d, page "
        "info %#llx): %s",
        heap_.AddressOfPage(page).pointer(), fault, InUse(page),
        HasSpecials(page), static_cast<Number>(InfoWord(page)),
        span.Describe(description, sizeof description));
  }

  const MHeap& heap_;
  uint64_t spans_ = 0;
  uint64_t heap_pages_ = 0;
  uint64_t manual_pages_ = 0;
  MarkBitArenas::Unswept unswept_;
};

void MHeap::CheckInvariants() const {
  if (!base_.is_null()) Checker(*this).Run();
}

}  // namespace tricolor::mheap
