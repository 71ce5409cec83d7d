// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/mspan.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "tricolor/base/check.h"
#include "tricolor/mheap/asan.h"

namespace tricolor::mheap {

// The structures live in a FixedAlloc.
static_assert(std::is_trivially_destructible_v<MSpan>);
// IndexOf multiplies 32-bit offsets.
static_assert(kMaxClassPages * kPageSize <= UINT32_MAX);
static_assert(kMaxSlots <= MarkBitArenas::kMaxObjects);

constinit const MarkWord MSpan::kNoneLive[kMaxSlots / 64] = {};

namespace {

const char* NameOf(SpanKind kind) {
  static constexpr const char* kNames[] = {"pointer bitmap", "noscan",
                                           "type header"};
  return kNames[static_cast<int>(kind)];
}

// Calls body(word, mask) for the words that hold the bits [first, end).
template <typename Body>
void ForEachMaskedWord(uint32_t first, uint32_t end, const Body& body) {
  while (first < end) {
    const uint32_t in_word = first & 63;
    const uint32_t n = std::min(end - first, 64 - in_word);
    body(first >> 6, RangeMask(in_word, n));
    first += n;
  }
}

}  // namespace

const char* SpanStateName(SpanState state) {
  static constexpr const char* kNames[] = {"Dead", "InUse", "Manual"};
  return kNames[static_cast<int>(state)];
}

// Release, pairs with IsHeapSpanAt: who sees these sees that the span of the
// former life is dead.
void MSpan::SetBounds(Addr base, Addr limit) {
  base_.StoreRelease(base.value());
  limit_.StoreRelease(limit.value());
}

void MSpan::InitManual(Addr base, PageCount pages) {
  SetBounds(base, base + BytesOf(pages));
  pages_ = pages;
  slot_size_ = 0;
  slots_ = 0;
  div_magic_ = 0;
  allocated_ = 0;
  span_class_ = SpanClass();
  free_index_.StoreRelaxed(0);
  alloc_bits_.StoreRelaxed(nullptr);
  mark_bits_.StoreRelaxed(nullptr);
  large_type_.StoreRelaxed(nullptr);
  list_next = nullptr;
  list_prev = nullptr;
}

void MSpan::InitHeap(Addr base, PageCount pages, SpanClass span_class,
                     MarkWord* mark_bits, bool needs_zero) {
  InitManual(base, pages);
  const bool large = span_class.is_large();
  span_class_ = span_class;
  slot_size_ = large ? bytes().value() : span_class.slot_size();
  slots_ = large ? 1 : span_class.slots();
  div_magic_ = kClassDivMagic[span_class.size_class()];
  SetBounds(base, SlotAddress(slots_));
  alloc_bits_.StoreRelaxed(kNoneLive);
  mark_bits_.StoreRelaxed(mark_bits);
  needs_zero_ = needs_zero;
  zeroed_end_ = 0;
  common_pointers_ = kNoObjectsYet;
  if (needs_zero && span_class.kind() == SpanKind::kPointerBitmap) {
    for (uint32_t i = 0; i < kPointerBitmapBytes / 8; ++i) {
      pointer_bitmap()[i].StoreRelaxed(0);
    }
  }
  AsanPoison(base, RangeOf(0, slots_).size());
}

uint32_t MSpan::NextSlot(bool live, uint32_t from, uint32_t limit) const {
  const MarkWord* words = alloc_bits_.LoadRelaxed();
  const uint64_t flip = live ? 0 : ~uint64_t{0};
  for (uint32_t i = from; i < limit; i = (i | 63) + 1) {
    const uint64_t found = (words[i >> 6].LoadRelaxed() ^ flip) >> (i & 63);
    if (found != 0) {
      return std::min(i + static_cast<uint32_t>(CountTrailingZeros(found)),
                      limit);
    }
  }
  return limit;
}

void MSpan::ZeroSlots(uint32_t first, uint32_t end) {
  if (first >= end) return;
  const AddrRange range = RangeOf(first, end);
  std::memset(range.base.pointer(), 0, range.size().value());
}

SlotRun MSpan::TakeFreeRun(uint32_t max_slots, bool black) {
  TRICOLOR_DCHECK(max_slots > 0, "run of at most 0 slots asked of span %p",
                  static_cast<void*>(this));
  const uint32_t from = free_index_.LoadRelaxed();
  const uint32_t first = NextSlot(false, from, slots_);
  if (first == slots_) return {};
  const uint32_t end =
      NextSlot(true, first + 1, first + std::min(max_slots, slots_ - first));
  if constexpr (kAsan) {
    AsanUnpoison(SlotAddress(first), RangeOf(first, end).size());
  }
  if (needs_zero_) {
    ZeroSlots(std::max(first, zeroed_end_), end);
    zeroed_end_ = std::max(zeroed_end_, end);
  }
  allocated_ += end - first;
  if (black) MarkRun({first, end - first});
  // Release, pairs with IsFree: without it a conservative reader could find
  // the slot taken and scan the garbage of its former life.
  free_index_.StoreRelease(end);
  return {first, end - first};
}

void MSpan::TakeLarge(bool black) {
  TRICOLOR_CHECK(is_large() && allocated_ == 0,
                 "span %p at %p, of class %u with %u slots allocated, taken as "
                 "a large object",
                 static_cast<void*>(this), base().pointer(),
                 span_class_.index(), allocated_);
  AsanUnpoison(base(), bytes());
  allocated_ = 1;
  if (black) MarkRun({0, 1});
  // Release: as in TakeFreeRun, though there is nothing to see but the slot.
  free_index_.StoreRelease(1);
}

void MSpan::ReturnRunTail(uint32_t count) {
  const uint32_t end = free_index_.LoadRelaxed();
  TRICOLOR_CHECK(count <= end && count <= allocated_,
                 "%u slots given back to span %p at %p, which has handed out "
                 "%u up to index %u",
                 count, static_cast<void*>(this), base().pointer(), allocated_,
                 end);
  allocated_ -= count;
  free_index_.StoreRelease(end - count);
  if constexpr (kAsan) {
    AsanPoison(SlotAddress(end - count), RangeOf(end - count, end).size());
  }
}

void MSpan::MarkRun(SlotRun run) {
  MarkWord* words = mark_bits();
  ForEachMaskedWord(run.first, run.first + run.count,
                    [words](uint32_t word, uint64_t mask) {
                      words[word].FetchOrRelaxed(mask);
                    });
}

void MSpan::UnmarkRun(SlotRun run) {
  MarkWord* words = mark_bits();
  ForEachMaskedWord(run.first, run.first + run.count,
                    [words](uint32_t word, uint64_t mask) {
                      words[word].FetchAndRelaxed(~mask);
                    });
}

uint32_t MSpan::CountMarked() const {
  const MarkWord* words = mark_bits();
  int marked = 0;
  for (uint32_t i = 0; i < DivideRoundUp(slots_, 64); ++i) {
    marked += PopCount(words[i].LoadRelaxed());
  }
  return static_cast<uint32_t>(marked);
}

bool MSpan::TryAcquireForSweep(uint32_t sg) {
  uint32_t expected = sg - 2;
  // A plain look first: most entries of an old list have been swept already.
  if (sweep_gen_.LoadRelaxed() != expected) return false;
  return sweep_gen_.CompareExchangeAcqRel(expected, sg - 1);
}

void MSpan::FinishSweep(MarkWord* fresh, uint32_t marked) {
  TRICOLOR_DCHECK(marked == CountMarked() && marked <= allocated_,
                  "span %p at %p: %u slots said to be marked of %u allocated, "
                  "%u are",
                  static_cast<void*>(this), base().pointer(), marked,
                  allocated_, CountMarked());
  if (marked < allocated_) needs_zero_ = true;
  allocated_ = marked;
  zeroed_end_ = 0;
  // The new allocation bits before the index that makes readers look at them:
  // the other way round a dead slot would still seem taken, or a live one free.
  alloc_bits_.StoreRelease(mark_bits_.LoadRelaxed());
  mark_bits_.StoreRelease(fresh);
  free_index_.StoreRelease(0);
  if constexpr (kAsan) PoisonFreeSlots();
}

void MSpan::PoisonFreeSlots() {
  for (uint32_t i = NextSlot(false, 0, slots_); i < slots_;) {
    const uint32_t end = NextSlot(true, i, slots_);
    AsanPoison(SlotAddress(i), RangeOf(i, end).size());
    i = NextSlot(false, end, slots_);
  }
}

const char* MSpan::Describe(char* buffer, size_t size) const {
  std::snprintf(
      buffer, size,
      "span %p: %s, base %p, limit %p, %llu pages, size class %d (%s), %u "
      "slots of %llu bytes, %u allocated, free index %u, sweep generation %u",
      static_cast<const void*>(this), SpanStateName(state()), base().pointer(),
      limit().pointer(), static_cast<unsigned long long>(pages_.value()),
      span_class_.size_class(), NameOf(span_class_.kind()), slots_,
      static_cast<unsigned long long>(slot_size_), allocated_,
      free_index_.LoadRelaxed(), sweep_gen());
  return buffer;
}

}  // namespace tricolor::mheap
