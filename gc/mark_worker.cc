// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/mark_worker.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/attributes.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/gc/mark-inl.h"
#include "tricolor/mheap/mspan.h"

namespace tricolor::gc {

using mheap::MSpan;
using mheap::SpanState;

MarkWorker::MarkWorker(MarkCycle& cycle)
    : cycle_(cycle),
      heap_base_(cycle.heap.base()),
      page_info_(cycle.heap.page_info_table()),
      work_(cycle.bufs, cycle.idle) {}

// ---- The cycle.

void MarkWorker::Run(int index) {
  index_ = index;
  heap_bytes_ = cycle_.heap.grown().value();
  parallel_ = cycle_.parallel;
  check_at_ = stats_.scanned_bytes + kReportInterval;
  do {
    RunRootJobs();
    Drain();
    RunRescanJobs();
    if (ABSL_PREDICT_FALSE(pausing())) {
      HandOnAll();
    } else if (!Report()) {
      Rest();
    }
  } while (AwaitWork());
}

void MarkWorker::BeginCycle() {
  stats_ = MarkStats();
  reported_ = 0;
  work_.Begin();
}

uint64_t MarkWorker::Assist(uint64_t bytes) {
  if (!cycle_.bufs.HasFull() || !work_.Attach()) return 0;
  stats_ = MarkStats();
  assisting_ = true;
  check_at_ = bytes;
  heap_bytes_ = cycle_.heap.grown().value();
  parallel_ = true;
  WorkBuf* words = nullptr;
  while (stats_.scanned_bytes < bytes && work_.TryTakeShared(&words)) {
    if (words != nullptr) MarkWords(*std::exchange(words, nullptr));
    DrainLocal();
  }
  // The objects that candidates lead to are found, and handed on with the rest.
  TurnBlocks();
  TurnBlocks();
  work_.Detach();
  cycle_.others_marked.FetchAddRelaxed(stats_.marked_objects);
  cycle_.others_marked_bytes.FetchAddRelaxed(stats_.marked_bytes);
  cycle_.others_scanned.FetchAddRelaxed(stats_.scanned_bytes);
  return stats_.scanned_bytes;
}

bool MarkWorker::Report() {
  const uint64_t bytes = stats_.scanned_bytes - reported_;
  reported_ = stats_.scanned_bytes;
  check_at_ = reported_ + kReportInterval;
  return cycle_.monitor == nullptr || cycle_.monitor->Worked(index_, bytes);
}

void MarkWorker::Rest() {
  TurnBlocks();
  TurnBlocks();
  work_.ShareAll();
  while (!pausing() && !cycle_.monitor->Rest(index_)) {
    // They may be waiting for this worker to have nothing to do either.
    if (cycle_.idle.any() && !cycle_.bufs.HasFull()) return;
  }
}

void MarkWorker::HandOnAll() {
  TurnBlocks();
  TurnBlocks();
  work_.ShareAll();
  if (work_.empty()) return;
  work_.DropSome();
  work_.DropSome();
  cycle_.overflowed.StoreRelease(true);
}

bool MarkWorker::CheckIn() {
  if (ABSL_PREDICT_FALSE(pausing() && !assisting_)) return false;
  if ((cycle_.idle.any() || cycle_.assists_starve.LoadRelaxed()) &&
      !cycle_.bufs.HasFull()) {
    work_.Share();
  }
  if (ABSL_PREDICT_TRUE(stats_.scanned_bytes < check_at_)) return true;
  return !assisting_ && Report();
}

void MarkWorker::RunRootJobs() {
  uint64_t job = 0;
  while (!pausing() && cycle_.root_jobs.Claim(1, &job)) {
    source_ = Addr();
    cycle_.roots->MarkRoots(static_cast<size_t>(job), *this);
    DrainLocal();
  }
}

void MarkWorker::RunRescanJobs() {
  uint64_t first = 0;
  while (!pausing() && cycle_.rescan_words.Claim(kRescanStep, &first)) {
    const uint64_t limit = cycle_.rescan_words.limit();
    const uint64_t end =
        limit - first < kRescanStep ? limit : first + kRescanStep;
    for (uint64_t i = first; i < end; ++i) RescanPages(i);
    Drain();
    // Some of these may have been passed over: all are for the next rescan.
    if (pausing()) cycle_.overflowed.StoreRelease(true);
  }
}

// Whether there is work again; false: marking is over.
bool MarkWorker::AwaitWork() {
  const auto has_work = [this] {
    if (pausing()) return false;
    return cycle_.bufs.HasFull() || cycle_.root_jobs.any_left() ||
           cycle_.rescan_words.any_left();
  };
  switch (cycle_.idle.Await(has_work)) {
    case IdleWorkers::Outcome::kWork:
      return true;
    case IdleWorkers::Outcome::kDone:
      return false;
    case IdleWorkers::Outcome::kLast:
      break;
  }
  if (pausing() || !cycle_.overflowed.LoadRelaxed() ||
      !cycle_.overflowed.ExchangeAcqRel(false)) {
    cycle_.idle.Finish();
    return false;
  }
  cycle_.rescan_words.Reset(cycle_.heap.page_words());
  ++stats_.rescans;
  cycle_.idle.Resume();
  return true;
}

// Scans all that is marked on the pages, whether it has been scanned or not.
void MarkWorker::RescanPages(uint64_t word_index) {
  uint64_t bits = cycle_.heap.page_in_use_word(word_index).LoadAcquire();
  for (; bits != 0; bits &= bits - 1) {
    const uint64_t page =
        word_index * 64 + static_cast<uint64_t>(std::countr_zero(bits));
    MSpan* span = cycle_.heap.SpanOf(heap_base_ + BytesOf(PageCount(page)));
    if (span != nullptr && span->state() == SpanState::kInUse) {
      RescanSpan(*span);
    }
  }
}

void MarkWorker::RescanSpan(MSpan& span) {
  if (span.span_class().is_noscan()) return;
  const mheap::MarkWord* marks = span.mark_bits();
  for (uint32_t i = 0; i < DivideRoundUp(span.slots(), 64); ++i) {
    for (uint64_t bits = marks[i].LoadRelaxed(); bits != 0; bits &= bits - 1) {
      ScanAndDrain(span,
                   i * 64 + static_cast<uint32_t>(std::countr_zero(bits)));
    }
  }
}

// After each object, and slice of a large one, the queues are emptied, so that
// what it leads to needs little room. Nothing of the object itself is queued:
// without a mark it would not be found again if it were dropped.
void MarkWorker::ScanAndDrain(MSpan& span, uint32_t index) {
  if (!span.is_large()) {
    const uint32_t class_byte = span.span_class().index() + 1u;
    ScanSlow(MarkItem::Small(span.SlotAddress(index), class_byte));
    DrainLocal();
    return;
  }
  for (uint64_t at = 0; at < span.slot_size(); at += kSliceSize.value()) {
    ScanLargeSlice(span.base() + ByteCount(at));
    DrainLocal();
  }
}

void MarkWorker::Drain() {
  for (;;) {
    DrainLocal();
    if (ABSL_PREDICT_FALSE(pausing())) return;
    WorkBuf* words = nullptr;
    if (!work_.TryTakeShared(&words)) return;
    if (words != nullptr) MarkWords(*words);
  }
}

void MarkWorker::MarkWords(WorkBuf& words) {
  source_ = Addr();
  for (uint32_t i = 0; i < words.count; ++i) {
    VisitConservatively(words.items[i]);
  }
  words.count = 0;
  words.contents = WorkBuf::Contents::kItems;
  cycle_.bufs.PutEmpty(&words);
}

inline void MarkWorker::Prefetch(MarkItem item) {
  const Addr a = item.address();
  __builtin_prefetch(a.pointer());
  if (item.kind() == MarkItem::kPointerBitmap && item.common_pointers() == 0) {
    __builtin_prefetch(BitmapWordOf(a));
  }
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline void MarkWorker::ScanItem(MarkItem item) {
  if (ABSL_PREDICT_TRUE(item.kind() == MarkItem::kPointerBitmap)) {
    ScanBitmapObject(item);
  } else {
    ScanSlow(item);
  }
}

void MarkWorker::DrainLocal() {
  uint32_t until_share = kShareInterval;
  uint32_t head = 0;
  uint32_t tail = 0;
  for (;;) {
    MarkItem item;
    while (tail - head < kObjectRing && work_.TryPop(&item)) {
      Prefetch(item);
      objects_[tail++ % kObjectRing] = item;
    }
    // Candidates wait for their mark words no longer than there are other
    // things to do.
    if (ABSL_PREDICT_FALSE(tail - head <= kLowRing) && has_pending()) {
      TurnBlocks();
      TurnBlocks();
      continue;
    }
    if (head == tail) return;
    const MarkItem next = objects_[head++ % kObjectRing];
    ScanItem(next);
    if (!parallel_) continue;
    // Others than those with pointer bitmaps may be large.
    if (--until_share != 0 && (next.kind() == MarkItem::kPointerBitmap ||
                               stats_.scanned_bytes < check_at_)) {
      continue;
    }
    until_share = kShareInterval;
    if (ABSL_PREDICT_TRUE(CheckIn())) continue;
    while (head != tail) Push(objects_[head++ % kObjectRing]);
    if (assisting_) return;
    Rest();
    if (pausing()) return;
  }
}

// ---- Marking.

void MarkWorker::Visit(const void* pointer) {
  Candidate* const block = candidates_[filled_block_];
  uint32_t& count = candidate_counts_[filled_block_];
  Candidate* const end = LookUp(Addr(pointer).value(), nullptr, block + count);
  count = static_cast<uint32_t>(end - block);
  if (count >= kBlock) TurnBlocks();
}

void MarkWorker::VisitConservatively(uintptr_t word) {
  const Addr a(word);
  if (a.value() - heap_base_.value() >= heap_bytes_) return;
  MSpan* span = cycle_.heap.HeapSpanOf(a);
  if (span == nullptr) return;
  const uint32_t index = span->IndexOf(a);
  if (span->IsFree(index)) return;
  if (span->is_large()) {
    MarkLarge(*span);
    return;
  }
  const mheap::PageInfo info(span->span_class(), 0, span->mark_bits());
  AddCandidate(Candidate(span->base(), index, info));
}

inline void MarkWorker::AddCandidate(const Candidate& candidate) {
  __builtin_prefetch(&candidate.mark_word());
  uint32_t& count = candidate_counts_[filled_block_];
  candidates_[filled_block_][count++] = candidate;
  if (count >= kBlock) TurnBlocks();
}

void MarkWorker::VisitFieldsOf(MSpan& span, uint32_t index) {
  if (!span.span_class().is_noscan()) ScanAndDrain(span, index);
}

void MarkWorker::LookUpFields() {
  Candidate* const block = candidates_[filled_block_];
  Candidate* end = block + candidate_counts_[filled_block_];
  const uint32_t count = field_count_;
  for (uint32_t i = 0; i < count; ++i) {
    end = LookUp(LoadWordAcquire(fields_[i]), fields_[i], end);
  }
  candidate_counts_[filled_block_] = static_cast<uint32_t>(end - block);
  field_count_ = 0;
}

void MarkWorker::TurnBlocks() {
  LookUpFields();
  filled_block_ ^= 1;
  MarkBlock(filled_block_);
  candidate_counts_[filled_block_] = 0;
}

// The items of newly marked objects, on their way to the stack, and what they
// count for. Local, so that all of it stays in registers.
class MarkWorker::NewItems {
 public:
  explicit NewItems(uint64_t* top) : top_(top) {}
  void Add(const Candidate& candidate) {
    const MarkItem item = candidate.item();
    *top_ = item.word();
    top_ += item.kind() != MarkItem::kNoScan;
    ++objects_;
    bytes_ += item.record().slot_size();
  }
  uint64_t* top() const { return top_; }
  uint64_t objects() const { return objects_; }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t* top_;
  uint64_t objects_ = 0;
  uint64_t bytes_ = 0;
};

// Whether an object is new cannot be foretold, so there is no branch for it:
// each candidate is written to the front of the block, and stays if it is.
//
// Marks are relaxed, here and below: a mark says nothing about the object's
// contents. Those have been published to this thread with the pointer, or
// before the world stopped.
void MarkWorker::MarkBlock(uint32_t block) {
  Candidate* const candidates = candidates_[block];
  const uint32_t count = candidate_counts_[block];
  uint32_t unmarked = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const Candidate candidate = candidates[i];
    candidates[unmarked] = candidate;
    unmarked +=
        (candidate.mark_word().LoadRelaxed() & candidate.mark_bit()) == 0;
  }
  NewItems items(Reserve(unmarked));
  if (parallel_) {
    MarkAmongOthers(candidates, unmarked, items);
  } else {
    MarkAlone(candidates, unmarked, items);
  }
  stats_.marked_objects += items.objects();
  stats_.marked_bytes += items.bytes();
  work_.Commit(items.top());
}

// A block may have two pointers to the same object, so the mark is looked at
// again. The first mark in a word brings the page mark.
inline void MarkWorker::MarkAlone(const Candidate* candidates, uint32_t count,
                                  NewItems& items) {
  for (uint32_t i = 0; i < count; ++i) {
    const Candidate& candidate = candidates[i];
    const uint64_t old = candidate.mark_word().LoadRelaxed();
    if (ABSL_PREDICT_FALSE((old & candidate.mark_bit()) != 0)) continue;
    candidate.mark_word().StoreRelaxed(old | candidate.mark_bit());
    if (old == 0) SetPageMarkOf(candidate);
    items.Add(candidate);
  }
}

// Of two workers that have both found the bit clear, the old value decides
// which one counts and scans the object. Neighbors share one read-modify-write,
// which costs as much as all the rest: the children of a node are often such.
inline void MarkWorker::MarkAmongOthers(const Candidate* candidates,
                                        uint32_t count, NewItems& items) {
  for (uint32_t i = 0; i < count;) {
    const Candidate& candidate = candidates[i];
    mheap::MarkWord& word = candidate.mark_word();
    if (word.LoadRelaxed() == 0) SetPageMarkOf(candidate);
    if (i + 1 == count || &candidates[i + 1].mark_word() != &word) {
      ++i;
      // One bit: the processor has an instruction for it.
      const uint64_t bit = candidate.mark_bit();
      if (ABSL_PREDICT_TRUE((word.FetchOrRelaxed(bit) & bit) == 0)) {
        items.Add(candidate);
      }
      continue;
    }
    uint32_t end = i;
    uint64_t bits = 0;
    for (; end < count && &candidates[end].mark_word() == &word; ++end) {
      bits |= candidates[end].mark_bit();
    }
    uint64_t fresh = bits & ~word.FetchOrRelaxed(bits);
    for (; i < end; ++i) {
      const uint64_t bit = candidates[i].mark_bit();
      if (ABSL_PREDICT_FALSE((fresh & bit) == 0)) continue;
      fresh &= ~bit;
      items.Add(candidates[i]);
    }
  }
}

// An exact pointer that is in no slot of a small span: a large object, or
// corruption.
void MarkWorker::LookUpSlow(uint64_t pointer, const uint64_t* field) {
  MSpan* span = cycle_.heap.HeapSpanOf(Addr(pointer));
  if (span == nullptr || !span->is_large()) {
    BadPointer(pointer, field, "is in no slot");
  }
#ifndef NDEBUG
  CheckExactPointer(pointer, field);
#endif
  MarkLarge(*span);
}

void MarkWorker::MarkLarge(MSpan& span) {
  if (span.IsMarked(0) || !span.SetMarked(0)) return;
  ++stats_.marked_objects;
  stats_.marked_bytes += span.slot_size();
  cycle_.SetPageMark((span.base() - heap_base_).value() >> kPageShift);
  if (!span.span_class().is_noscan()) {
    Push(MarkItem::LargeSlice(span.base()));
  }
}

// A full buffer is forgotten when there is no empty one. Its objects keep their
// marks, and the rescan finds them by these.
ABSL_ATTRIBUTE_NOINLINE uint64_t* MarkWorker::ReserveSlow(uint64_t count) {
  if (!work_.MakeRoom(count)) {
    cycle_.overflowed.StoreRelease(true);
    work_.DropSome();
  }
  uint64_t* top = work_.TryReserve(count);
  TRICOLOR_CHECK(top != nullptr, "no room for %llu mark items",
                 static_cast<unsigned long long>(count));
  return top;
}

// The checks that cost a look at the span.
void MarkWorker::CheckExactPointer(uint64_t pointer,
                                   const uint64_t* field) const {
  const Addr a(pointer);
  MSpan* span = cycle_.heap.HeapSpanOf(a);
  if (span == nullptr) BadPointer(pointer, field, "is in no slot");
  if (span->IsFree(span->IndexOf(a))) {
    BadPointer(pointer, field, "is in a free slot");
  }
}

void MarkWorker::BadPointer(uint64_t pointer, const uint64_t* field,
                            const char* fault) const {
  Addr source = source_;
  if (field != nullptr) {
    const MSpan* holder = cycle_.heap.SpanOf(Addr(field));
    source = holder->SlotAddress(holder->IndexOf(Addr(field)));
  }
  const MSpan* span = cycle_.heap.SpanOf(Addr(pointer));
  char description[MSpan::kDescriptionSize] = "no span";
  if (span != nullptr) span->Describe(description, sizeof description);
  Fatal("pointer %p, found in %s %p, %s: %s", Addr(pointer).pointer(),
        source.is_null() ? "a root" : "object", source.pointer(), fault,
        description);
}

}  // namespace tricolor::gc
