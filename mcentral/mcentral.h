// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MCentral: the spans of one span class that no cache holds, in four span sets:
// partial (with a free slot) and full, each swept and unswept. The two sets of
// a kind trade the roles of swept and unswept when the sweep generation
// advances; no entry moves.
//
// Being listed proves nothing: an entry of an unswept set may have been swept,
// cached, freed or reused since; only winning the span's generation gives it.
// Nor is every span listed: one that a set has no memory for is left alone, and
// the sweeper of the next cycle looks for it (see MCentrals).
// INV-MCENTRAL-1: nothing is pushed to an unswept set.
// INV-MCENTRAL-2: the unswept sets are empty when the generation advances.
//
// Go counterpart: mcentral.go. Thread-safe; takes no lock but the page heap's.

#ifndef TRICOLOR_MCENTRAL_MCENTRAL_H_
#define TRICOLOR_MCENTRAL_MCENTRAL_H_

#include <cstdint>
#include <limits>

#include "absl/base/optimization.h"
#include "tricolor/base/atomic.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/span_set.h"

namespace tricolor::mcentral {

class ABSL_CACHELINE_ALIGNED MCentral {
 public:
  // Unswept spans that one CacheSpan call tries before it grows the heap.
  static constexpr int kSpanBudget = 100;
  // When the heap cannot grow either, all of them are tried.
  static constexpr int kNoBudget = std::numeric_limits<int>::max();

  // `unlisted` counts the spans that could not be listed.
  MCentral(mheap::MHeap& heap, mheap::SpanClass span_class,
           Atomic<uint64_t>& unlisted);
  MCentral(const MCentral&) = delete;
  MCentral& operator=(const MCentral&) = delete;

  // A span with at least one free slot for the caller's cache to own, swept,
  // with generation sg (the cache then sets sg+3); on no set that counts. Null
  // when the heap is exhausted. Small classes only.
  [[nodiscard]] mheap::MSpan* CacheSpan(mheap::ProcessorCache& processor);
  // Takes a span back from a cache. A stale one (sg+1) is swept here first, and
  // goes back to the page heap when nothing in it lives. Otherwise its
  // generation becomes sg. Fatal when the span was not cached.
  void UncacheSpan(mheap::ProcessorCache& processor, mheap::MSpan& span);

  // Puts a swept span (generation sg) where it belongs: partial or full. From
  // then on it is anybody's. Without memory for a block of the set it stays
  // unlisted until the next cycle has swept it.
  void PushSwept(mheap::MSpan& span);
  // For the sweeper: an entry of the unswept sets, or null. The entry is
  // unlinked; whoever took it must try to acquire it.
  mheap::MSpan* PopUnsweptPartial();
  mheap::MSpan* PopUnsweptFull();
  // World stopped: fatal unless the unswept sets are empty; resets them.
  void ResetUnswept();

  mheap::SpanClass span_class() const { return span_class_; }

  // Fatal when an entry of the swept sets is not what it must be. Quiescent: no
  // other thread uses the sets.
  void CheckInvariants();

 private:
  friend class MCentralTestPeer;

  mheap::SpanSet& partial_swept() { return partial_[SweptIndex()]; }
  mheap::SpanSet& partial_unswept() { return partial_[1 - SweptIndex()]; }
  mheap::SpanSet& full_swept() { return full_[SweptIndex()]; }
  mheap::SpanSet& full_unswept() { return full_[1 - SweptIndex()]; }
  uint32_t SweptIndex() const { return heap_.sweep_gen() / 2 % 2; }

  // Takes unswept spans, at most `budget`, until one that it could acquire and
  // sweep has a free slot; null when there was none.
  mheap::MSpan* SweepForSpan(mheap::ProcessorCache& processor, int budget);
  mheap::MSpan* SweepFrom(mheap::ProcessorCache& processor,
                          mheap::SpanSet& unswept, int& budget);
  mheap::MSpan* Grow(mheap::ProcessorCache& processor);
  void CheckTaken(const mheap::MSpan& span) const;
  void CheckSwept(mheap::SpanSet& set, bool full);
  void List(mheap::SpanSet& set, mheap::MSpan& span);

  mheap::MHeap& heap_;
  const mheap::SpanClass span_class_;
  Atomic<uint64_t>& unlisted_;
  mheap::SpanSet partial_[2];
  mheap::SpanSet full_[2];
};

// The central lists of every span class of one heap.
class MCentrals {
 public:
  // `heap` has been initialized and outlives the lists.
  explicit MCentrals(mheap::MHeap& heap);
  MCentrals(const MCentrals&) = delete;
  MCentrals& operator=(const MCentrals&) = delete;

  // False when there was no memory for the lists; then nothing else may be
  // called.
  bool ok() const { return centrals_ != nullptr; }

  MCentral& of(mheap::SpanClass c) { return centrals_[c.index()]; }

  // World stopped: how many spans could not be listed since the last call.
  // They are in use, and swept; their free slots are not found before they have
  // been swept again.
  uint64_t TakeUnlisted() { return unlisted_.ExchangeAcquire(0); }

  // For each class, as MCentral's.
  void CheckInvariants();

 private:
  MCentral* centrals_;  // kSpanClasses of them, in the heap's metadata
  Atomic<uint64_t> unlisted_;
};

}  // namespace tricolor::mcentral

#endif  // TRICOLOR_MCENTRAL_MCENTRAL_H_
