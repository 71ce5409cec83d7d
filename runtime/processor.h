// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Processor: what a thread needs to allocate without locks, the parts of all
// floors in one object. A Mutator has one while it is attached; the collector's
// own threads have theirs. Processors are reused and live as long as the heap;
// an idle one is retired: it holds no spans, pages or span structures.
//
// Go counterpart: p, with its mcache and page cache. Used by one thread at a
// time: its holder's, or the collector's while the holder is claimed.

#ifndef TRICOLOR_RUNTIME_PROCESSOR_H_
#define TRICOLOR_RUNTIME_PROCESSOR_H_

#include "absl/base/optimization.h"
#include "tricolor/gc/assist.h"
#include "tricolor/gc/gc_pacer.h"
#include "tricolor/gc/grey_buffer.h"
#include "tricolor/gc/live_account.h"
#include "tricolor/gc/mark_worker.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/mcentral/mcentral.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/processor_cache.h"

namespace tricolor::runtime {

// What processors are made of; all of it outlives them.
struct ProcessorParts {
  mheap::MHeap& heap;
  mcentral::MCentrals& centrals;
  gc::GcPacer& pacer;
  gc::Marker& marker;
};

class ABSL_CACHELINE_ALIGNED Processor final
    : private mcache::AllocationObserver {
 public:
  // Active at first.
  explicit Processor(const ProcessorParts& parts)
      : heap_(parts.heap),
        pacer_(parts.pacer),
        cache_(parts.heap, parts.centrals, pages_, *this),
        grey_(parts.marker),
        assistant_(parts.marker.cycle()) {
    Activate();
  }
  ~Processor() {
    if (active_) Retire();
  }
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;

  mcache::MCache& cache() { return cache_; }
  // The page heap's part.
  mheap::ProcessorCache& pages() { return pages_; }
  // What its thread's barrier and stack have for the markers.
  gc::GreyBuffer& grey() { return grey_; }
  // What its thread has allocated while a cycle marks, and not paid for.
  gc::AssistAccount& account() { return account_; }
  // What it has told the pacer of the live heap.
  gc::LiveAccount& live() { return live_; }
  // World stopped: the pacer knows exactly what it has.
  void SettleLive() { live_.Settle(pacer_); }
  bool owes() const {
    return ABSL_PREDICT_FALSE(pacer_.marking()) &&
           (account_.debt() != 0 || pacer_.outrun());
  }
  // With what it pays.
  gc::MarkWorker& assistant() { return assistant_; }

  // For the collector. Flushes the cache if a sweep has begun, and gives the
  // cached pages back, which nobody else could use as long as the owner sleeps.
  void FlushForOwner() {
    cache_.PrepareForSweep();
    heap_.FlushPageCache(pages_);
  }

  // World stopped: counts what its cache has handed out. There is nothing to
  // count while it is retired.
  void PublishStats() {
    if (!active_) return;
    cache_.PrepareForSweep();
    cache_.PublishStats();
  }

  // A sweep may have begun since it was retired.
  void Activate() {
    heap_.AttachProcessor(pages_);
    cache_.PrepareForSweep();
    active_ = true;
  }
  // Gives everything back. The statistics stay.
  void Retire() {
    grey_.Publish();
    cache_.PrepareForSweep();
    cache_.ReleaseAll();
    live_.Settle(pacer_);
    heap_.ReleaseProcessor(pages_);
    active_ = false;
  }

 private:
  friend class ProcessorPool;

  // mcache::AllocationObserver.
  void HeapLiveChanged(int64_t bytes) override {
    live_.Changed(pacer_, bytes);
    if (ABSL_PREDICT_TRUE(!pacer_.marking()) || bytes <= 0) return;
    account_.Charge(static_cast<uint64_t>(bytes), pacer_.cycle());
  }

  mheap::MHeap& heap_;
  gc::GcPacer& pacer_;
  mheap::ProcessorCache pages_;
  mcache::MCache cache_;
  gc::GreyBuffer grey_;
  gc::AssistAccount account_;
  gc::LiveAccount live_;
  gc::MarkWorker assistant_;
  bool active_ = false;
  Processor* next_idle_ = nullptr;  // of the pool
  Processor* next_ = nullptr;
};

// All processors of a heap's mutators. Guarded by its owner's lock.
class ProcessorPool {
 public:
  explicit ProcessorPool(const ProcessorParts& parts) : parts_(parts) {}
  // All processors are idle.
  ~ProcessorPool();
  ProcessorPool(const ProcessorPool&) = delete;
  ProcessorPool& operator=(const ProcessorPool&) = delete;

  // An active one: an idle one or a new one.
  Processor* Take();
  // `processor` has been retired.
  void Put(Processor* processor);

  // World stopped: of all processors' caches, each with a seed of its own, and
  // of those that are made later. Returns the sampler before.
  AllocationSampler* SetSampling(const mcache::Sampling& sampling);

  // Every processor, idle ones too.
  template <typename Visit>
  void ForEach(Visit visit) {
    for (Processor* p = all_; p != nullptr; p = p->next_) visit(*p);
  }

 private:
  void StartSampling(Processor& processor);

  const ProcessorParts parts_;
  mcache::Sampling sampling_;
  Processor* all_ = nullptr;
  Processor* idle_ = nullptr;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_PROCESSOR_H_
