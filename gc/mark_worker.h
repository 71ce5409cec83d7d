// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MarkWorker: one thread's part in marking. What is found waits in short
// queues, so that no memory is waited for that could have been asked for
// earlier:
//
//   fields        of scanned objects; what they point to is looked up together
//   candidates    two blocks: while one is filled and its mark words are
//                 being fetched, the objects of the other have been marked
//   local work    objects that are marked and not scanned: a stack
//   object ring   the object's first lines are being fetched; leaving it, it
//                 is scanned, which finds more fields
//
// docs/marking.md compares the alternatives. Go counterpart: gcDrain,
// greyobject, scanobject in mgcmark.go. One thread at a time.
// INV-GC-6: each object that gets its mark in this cycle is counted once.
// INV-GC-7: a marked object is scanned, on some worker's way to be scanned, or
// `overflowed` is set.

#ifndef TRICOLOR_GC_MARK_WORKER_H_
#define TRICOLOR_GC_MARK_WORKER_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/units.h"
#include "tricolor/gc/local_work.h"
#include "tricolor/gc/mark_cycle.h"
#include "tricolor/gc/mark_item.h"
#include "tricolor/mheap/mark_bits.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::gc {

// What root jobs and trace callbacks mark with.
class MarkWorker final : public PointerVisitor {
 public:
  // Large objects are scanned in slices of this size, so that several workers
  // can take part.
  static constexpr ByteCount kSliceSize{128 << 10};

  explicit MarkWorker(MarkCycle& cycle);
  MarkWorker(const MarkWorker&) = delete;
  MarkWorker& operator=(const MarkWorker&) = delete;

  // A pointer that is null, outside the heap, or anywhere into a live object.
  void Visit(const void* pointer) override;
  // Any bit pattern; marks the object whose slot it points into, if that slot
  // is allocated. A pointer one past the end of an object does not keep it.
  void VisitConservatively(uintptr_t word) override;
  // The pointers in an object of a heap span, which itself is not marked: what
  // an object with a finalizer points to lives on with it. In a root job.
  void VisitFieldsOf(mheap::MSpan& span, uint32_t index);

 private:
  friend class Marker;

  // So many fields, or candidates from elsewhere, are dealt with at once; a
  // word's worth of fields may come together.
  static constexpr uint32_t kBlock = 16;
  static constexpr uint32_t kMaxFields = kBlock + 63;
  static constexpr uint32_t kMaxCandidates = kBlock + kMaxFields;
  static_assert(kMaxCandidates <= LocalWork::kMaxReserve);
  static constexpr uint32_t kObjectRing = 16;
  // With so few objects in the ring, the candidates' time has come.
  static constexpr uint32_t kLowRing = 4;
  // Objects scanned between two looks at whether others are idle.
  static constexpr uint32_t kShareInterval = 32;
  // Bytes scanned between two reports to the monitor.
  static constexpr uint64_t kReportInterval = 32 << 10;
  // 64-page words of the heap that are claimed at once for a rescan.
  static constexpr uint64_t kRescanStep = 16;

  class NewItems;

  // ---- The cycle: mark_worker.cc.
  void BeginCycle();
  // A round, as worker `index`: until no worker has work. Without items then.
  void Run(int index);
  // Scans about `bytes` of what others have published: an assist. Returns how
  // many it has scanned; 0 when it has found nothing.
  uint64_t Assist(uint64_t bytes);
  void EndCycle() { work_.End(); }
  void RunRootJobs();
  void RunRescanJobs();
  void RescanPages(uint64_t word_index);
  void RescanSpan(mheap::MSpan& span);
  void ScanAndDrain(mheap::MSpan& span, uint32_t index);
  bool AwaitWork();
  // Until neither this worker nor the shared stack has items.
  void Drain();
  // What a GreyBuffer has published; `words` is empty afterwards.
  void MarkWords(WorkBuf& words);
  // Until there are no local items, or an assist has scanned its share.
  void DrainLocal();
  // Between two objects: whether DrainLocal is to go on.
  bool CheckIn();
  // Tells the monitor; whether this worker need not rest.
  bool Report();
  // Hands everything on, and rests until it may go on.
  void Rest();
  bool pausing() const { return cycle_.pausing.LoadRelaxed(); }
  // The same, when the round ends early: what cannot be handed on is found by a
  // rescan.
  void HandOnAll();
  void ScanItem(MarkItem item);

  // ---- Marking: mark-inl.h and mark_worker.cc.
  // Makes the exact pointer that was found in `field` (null: not in a field) a
  // candidate at `end`, unless it is null or foreign; returns the new end.
  Candidate* LookUp(uint64_t pointer, const uint64_t* field, Candidate* end);
  void LookUpSlow(uint64_t pointer, const uint64_t* field);
  void LookUpFields();
  void AddCandidate(const Candidate& candidate);
  // Makes candidates of all fields, and then marks those in the other block,
  // which is filled next.
  void TurnBlocks();
  bool has_pending() const {
    return field_count_ + candidate_counts_[0] + candidate_counts_[1] != 0;
  }
  void MarkBlock(uint32_t block);
  void MarkAlone(const Candidate* candidates, uint32_t count, NewItems& items);
  void MarkAmongOthers(const Candidate* candidates, uint32_t count,
                       NewItems& items);
  void MarkLarge(mheap::MSpan& span);
  uint64_t* Reserve(uint64_t count);
  uint64_t* ReserveSlow(uint64_t count);
  void Push(MarkItem item);
  // Of the span's first page.
  void SetPageMarkOf(const Candidate& candidate) {
    cycle_.SetPageMark((candidate.span() - heap_base_).value() >> kPageShift);
  }
  void CheckExactPointer(uint64_t pointer, const uint64_t* field) const;
  [[noreturn]] void BadPointer(uint64_t pointer, const uint64_t* field,
                               const char* fault) const;

  // ---- Scanning: scan.cc. Each word that may be a pointer becomes a
  // candidate.
  static void Prefetch(MarkItem item);
  void ScanSlow(MarkItem item);
  void ScanBitmapObject(MarkItem item);
  void ScanHeaderObject(MarkItem item);
  void ScanLargeSlice(Addr slice);
  void PushOtherSlices(const mheap::MSpan& span);
  // The part [lo, hi) of the elements of `type` in [payload, end).
  void ScanElements(const TypeInfo& type, AddrRange payload, AddrRange part);
  void ScanBitmapElements(const TypeInfo& type, AddrRange payload,
                          AddrRange part);
  void ScanCallbackElements(const TypeInfo& type, AddrRange payload,
                            AddrRange part);
  void ScanConservativeWords(AddrRange part);
  void ScanPointerBits(const uint64_t* words, uint64_t bits);

  MarkCycle& cycle_;
  // Copies of the heap's constants. The end of the heap is that at the start of
  // the cycle: what lies beyond was allocated later, and so is marked.
  const Addr heap_base_;
  uint64_t heap_bytes_ = 0;
  const Atomic<uint64_t>* const page_info_;
  bool parallel_ = false;

  uint32_t filled_block_ = 0;
  uint32_t candidate_counts_[2] = {};
  uint32_t field_count_ = 0;
  const uint64_t* fields_[kMaxFields] = {};
  Candidate candidates_[2][kMaxCandidates] = {};
  MarkItem objects_[kObjectRing] = {};

  MarkStats stats_;
  int index_ = 0;  // of a cycle's worker
  bool assisting_ = false;
  // Of stats_.scanned_bytes: what the monitor knows of; at which an assist
  // ends, or the next report is due.
  uint64_t reported_ = 0;
  uint64_t check_at_ = 0;
  // For reports: what Visit and the like are called for; null: a root.
  Addr source_;
  LocalWork work_;
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_MARK_WORKER_H_
