// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MCentral: the spans of one span class that no cache holds, in span sets:
// partial (with a free slot) and full, each swept and unswept. The two sets of
// a kind trade the roles of swept and unswept when the sweep generation
// advances; no entry moves. Each shard of the processors has four sets of its
// own, and uses the others' before the heap grows: so processors that allocate
// at the same time neither share words nor take each other's memory.
//
// Being listed proves nothing: an entry of an unswept set may have been swept,
// cached, freed or reused since; only winning the span's generation gives it.
// Nor is every span listed: one that a set has no memory for is left alone, and
// the sweeper of the next cycle looks for it (see MCentrals).
// INV-MCENTRAL-1: nothing is pushed to an unswept set.
// INV-MCENTRAL-2: the unswept sets are empty when the generation advances.
//
// Go counterpart: mcentral.go, which has one list for all Ps.
// Thread-safe; takes no lock but the page heap's, and one when a shard comes
// to a class for the first time.

#ifndef TRICOLOR_MCENTRAL_MCENTRAL_H_
#define TRICOLOR_MCENTRAL_MCENTRAL_H_

#include <cstdint>
#include <limits>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/mutex.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/mheap/shards.h"
#include "tricolor/mheap/span_set.h"

namespace tricolor::mcentral {

class MCentrals;

// The four sets of one class and shard. Which of a pair is the swept one is a
// bit of the sweep generation.
struct CentralLists {
  explicit CentralLists(mheap::SpanSetBlockPool& pool)
      : partial{mheap::SpanSet(pool), mheap::SpanSet(pool)},
        full{mheap::SpanSet(pool), mheap::SpanSet(pool)} {}

  static uint32_t SweptIndex(uint32_t sweep_gen) { return sweep_gen / 2 % 2; }
  mheap::SpanSet& partial_swept(uint32_t sweep_gen) {
    return partial[SweptIndex(sweep_gen)];
  }
  mheap::SpanSet& partial_unswept(uint32_t sweep_gen) {
    return partial[1 - SweptIndex(sweep_gen)];
  }
  mheap::SpanSet& full_swept(uint32_t sweep_gen) {
    return full[SweptIndex(sweep_gen)];
  }
  mheap::SpanSet& full_unswept(uint32_t sweep_gen) {
    return full[1 - SweptIndex(sweep_gen)];
  }

  mheap::SpanSet partial[2];
  mheap::SpanSet full[2];
};

class MCentral {
 public:
  // Unswept spans that one CacheSpan call tries before it grows the heap.
  static constexpr int kSpanBudget = 100;
  // When the heap cannot grow either, all of them are tried.
  static constexpr int kNoBudget = std::numeric_limits<int>::max();

  MCentral(MCentrals& centrals, mheap::SpanClass span_class)
      : centrals_(centrals), span_class_(span_class) {}
  MCentral(const MCentral&) = delete;
  MCentral& operator=(const MCentral&) = delete;

  // A span with at least one free slot for the caller's cache to own, swept,
  // with generation sg (the cache then sets sg+3); on no set that counts. Null
  // when the heap is exhausted. Small classes only. Looks at the processor's
  // own shard first, then at the others, then grows the heap.
  [[nodiscard]] mheap::MSpan* CacheSpan(mheap::ProcessorCache& processor);
  // Takes a span back from a cache. A stale one (sg+1) is swept here first, and
  // goes back to the page heap when nothing in it lives. Otherwise its
  // generation becomes sg. Fatal when the span was not cached.
  void UncacheSpan(mheap::ProcessorCache& processor, mheap::MSpan& span);

  // Puts a swept span (generation sg) where it belongs: partial or full, of its
  // shard. From then on it is anybody's. Without memory for a block of the set
  // it stays unlisted until the next cycle has swept it.
  void PushSwept(mheap::MSpan& span);

  mheap::SpanClass span_class() const { return span_class_; }

  // Fatal when an entry of the swept sets is not what it must be. Quiescent: no
  // other thread uses the sets.
  void CheckInvariants();

 private:
  friend class MCentrals;

  // Null: the shard has none yet.
  CentralLists* lists_of(uint32_t shard) const {
    // Acquire, pairs with the release in MCentrals::MakeLists.
    return lists_[shard].LoadAcquire();
  }
  // Takes listed spans, of unswept ones at most `budget`, until one has a free
  // slot; null when there was none.
  mheap::MSpan* TakeListed(mheap::ProcessorCache& processor, int budget);
  // A span of the own shard's unswept ones, if the first has a free slot.
  mheap::MSpan* SweepOwn(mheap::ProcessorCache& processor, int& budget);
  mheap::MSpan* PopSwept(CentralLists& lists, uint32_t sg);
  // The partial ones first.
  mheap::MSpan* SweepUnswept(mheap::ProcessorCache& processor,
                             CentralLists& lists, uint32_t sg, int& budget);
  mheap::MSpan* SweepFrom(mheap::ProcessorCache& processor,
                          mheap::SpanSet& unswept, int& budget);
  mheap::MSpan* Grow(mheap::ProcessorCache& processor);
  void CheckTaken(const mheap::MSpan& span) const;
  void CheckSwept(mheap::SpanSet& set, bool full);

  MCentrals& centrals_;
  const mheap::SpanClass span_class_;
  Atomic<CentralLists*> lists_[mheap::kShards];
};

// The central lists of every span class of one heap.
class MCentrals {
 public:
  // Pages in spans without live objects that a shard keeps: a thread's share of
  // the least heap, so that threads of short-lived objects stay in their own.
  static constexpr uint64_t kMostKept = 512;

  // `heap` has been initialized and outlives the lists.
  explicit MCentrals(mheap::MHeap& heap);
  MCentrals(const MCentrals&) = delete;
  MCentrals& operator=(const MCentrals&) = delete;

  // False when there was no memory for the lists; then nothing else may be
  // called.
  bool ok() const { return centrals_ != nullptr; }

  MCentral& of(mheap::SpanClass c) { return centrals_[c.index()]; }

  // For the sweeper: the next entry of the shard's unswept sets, or null. They
  // are in an order of their own; *place, 0 at first, is how far in it the
  // caller has come, and is moved past sets that are empty. The entry is
  // unlinked; whoever took it must try to acquire it.
  mheap::MSpan* PopUnswept(uint32_t shard, uint32_t* place);

  // For the sweeper, of a span without live objects: whether it is to stay on
  // the lists, and counts it then. Some pages of each shard do: most likely
  // they are wanted again in a moment, by the thread in whose caches they are.
  bool KeepsEmpty(const mheap::MSpan& span);

  // World stopped, before the generation advances: fatal unless the unswept
  // sets are empty; resets them.
  void ResetUnswept();
  // World stopped: how many spans could not be listed since the last call.
  // They are in use, and swept; their free slots are not found before they have
  // been swept again.
  uint64_t TakeUnlisted() { return unlisted_.ExchangeAcquire(0); }

  // For each class, as MCentral's.
  void CheckInvariants();

 private:
  friend class MCentral;
  friend class MCentralTestPeer;

  // Lists that a shard has, in the order in which they were made.
  struct Shard {
    // Pages in listed spans that were kept though they are empty: about, for
    // two threads may change it at once, and other spans may be empty, too.
    Atomic<uint64_t> kept;
    Atomic<uint32_t> count;
    Atomic<CentralLists*> lists[mheap::kSpanClasses];
  };

  // Those of the class and shard, made if there are none. Null when the OS
  // refuses memory for them.
  CentralLists* MakeLists(MCentral& central, uint32_t shard)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Without memory the span stays swept, in use and on no set, where nobody can
  // take it from.
  void List(MCentral& central, mheap::MSpan& span);
  // A listed span has been taken that no cycle has found anything in.
  void TookEmpty(const mheap::MSpan& span);

  mheap::MHeap& heap_;
  MCentral* centrals_;  // kSpanClasses of them, in the heap's metadata
  Shard* shards_;       // mheap::kShards, likewise
  // Relaxed: it is taken with the world stopped.
  Atomic<uint64_t> unlisted_;
  // Held while lists are made.
  Mutex mutex_{LockRank::kCentralLists};
};

}  // namespace tricolor::mcentral

#endif  // TRICOLOR_MCENTRAL_MCENTRAL_H_
