// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MCache: one processor's spans, a current one for each span class, and the run
// of free slots that allocation bumps through. The fast path is inline and
// makes no call, takes no lock and no atomic read-modify-write; all accounting,
// zeroing and bookkeeping is done when a run is taken.
//
// Flush generation: a cache that is behind the heap's sweep generation holds
// stale spans and must be flushed (PrepareForSweep) before its next allocation
// (Go 1.12's lazy flush).
// INV-MCACHE-1: a cached span has generation sg+3 (or sg+1 when stale) and is
// owned by one cache. INV-MCACHE-2: the slots of a run are taken from the
// current span of its class and have been handed to nobody.
//
// Go counterpart: mcache.go and the small-object half of malloc.go.
// Used by one thread at a time: the one that holds the processor, or the
// collector on behalf of an idle one.

#ifndef TRICOLOR_MCACHE_MCACHE_H_
#define TRICOLOR_MCACHE_MCACHE_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/optimization.h"
#include "tricolor/base/atomic.h"
#include "tricolor/mcache/allocation_sampler.h"
#include "tricolor/mcache/sample_points.h"
#include "tricolor/mcentral/mcentral.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/object_layout.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/span_class.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::mcache {

// Whom a cache tells of allocation: the pacer. Called once a refill or large
// object, never per object. Thread-safe; must not allocate, block or collect.
class AllocationObserver {
 public:
  // The heap in use by objects has changed by `bytes`: up by a span's whole
  // free remainder when it is cached (so that the trigger never lags), down by
  // what was left unused when it is given back.
  virtual void HeapLiveChanged(int64_t bytes) = 0;

 protected:
  ~AllocationObserver() = default;
};

// What the thread that allocates a large object wants to do while it is zeroed.
class SliceHook {
 public:
  // Called between two slices. `object` is allocated, has no type yet, and is
  // zero in part. The callee may reach a safepoint, at which the cache may be
  // flushed and spans swept, and sees to it that the object is marked there.
  virtual void BetweenSlices(void* object) = 0;

 protected:
  ~SliceHook() = default;
};

// A sampler, the mean number of bytes between its samples, and what the choice
// is made with: the same seed, the same choice.
struct Sampling {
  AllocationSampler* sampler = nullptr;
  uint64_t rate = 0;
  uint64_t seed = 0;
};

class MCache {
 public:
  // Objects without pointers, smaller than this, share blocks of this size.
  static constexpr size_t kTinySize = 16;
  // Of the blocks that tiny objects share, and of others of their size.
  static constexpr mheap::SpanClass kTinyClass{mheap::SizeClassFor(kTinySize),
                                               mheap::SpanKind::kNoScan};
  // Most bytes of slots that are zeroed and taken as one run.
  static constexpr size_t kMaxRunBytes = 8192;
  // Large objects are zeroed so many bytes at a time.
  static constexpr size_t kZeroSlice = 256 << 10;

  MCache(mheap::MHeap& heap, mcentral::MCentrals& centrals,
         mheap::ProcessorCache& processor, AllocationObserver& observer);
  // Must have been flushed.
  ~MCache();
  MCache(const MCache&) = delete;
  MCache& operator=(const MCache&) = delete;

  // The next free slot of the current run: zeroed, or null when the run has
  // ended (then call AllocateSlow). `slot_bytes` is the class's slot size, a
  // constant at most call sites.
  void* TryAllocate(mheap::SpanClass span_class, size_t slot_bytes) {
    Run& run = runs_[span_class.index()];
    const uintptr_t slot = run.next;
    const uintptr_t end = slot + slot_bytes;
    if (ABSL_PREDICT_FALSE(end > run.limit)) return nullptr;
    ABSL_ASSUME(slot != 0);
    run.next = end;
    return reinterpret_cast<void*>(slot);
  }
  // Takes the next run, refilling the span if needed, and allocates from it.
  // Null when the heap is exhausted. Fatal when the cache has not been flushed
  // since the sweep generation moved on.
  // If the class is of kPointerBitmap, all slots of the run get these pointer
  // bits at once: most objects of a run are of one type. `type` is for the
  // sampler.
  void* AllocateSlow(mheap::SpanClass span_class, uint64_t pointer_bits = 0,
                     const TypeInfo* type = nullptr);
  // Whether a slot that TryAllocate returns has these pointer bits already.
  bool RunHasPointerBits(mheap::SpanClass span_class, uint64_t bits) const {
    return bits != 0 && runs_[span_class.index()].pointer_bits == bits;
  }

  // Gives a slot of this class, which TryAllocate has returned, these bits.
  // False when the cache was flushed in between (see TakeSlotsInFlight): then
  // the slot is garbage, and the caller needs another one.
  [[nodiscard]] bool WritePointerBits(mheap::SpanClass span_class, void* slot,
                                      uint64_t bits);

  // An object without pointers of `size` < kTinySize bytes and `align` <= 8,
  // packed with others into a 16-byte block. Zeroed. Null when exhausted. The
  // block lives as long as any object in it, and is what a special attached to
  // such an address belongs to: a cleanup runs, and a weak pointer becomes
  // null, when the whole block is dead (Go: #76007).
  void* AllocateTiny(size_t size, size_t align);

  // A large object (its own span). Zeroed in slices, with `hook`, if any,
  // called in between; then `type` is stored on the span, with release, and the
  // object returned. Memory that is known to be zero is not touched. Null when
  // the heap is exhausted.
  void* AllocateLarge(const mheap::ObjectLayout& layout, const TypeInfo& type,
                      SliceHook* hook = nullptr);

  // What New and NewArray come down to when nothing is known at compile time:
  // picks the layout, allocates, writes the type (header or pointer bits).
  // Null when the heap is exhausted or the size is impossible. Objects without
  // pointers for which UsesTinyBlock is true share blocks. `count` 0 is as 1.
  // `hook` is for large objects.
  void* Allocate(const TypeInfo& type, uint64_t count,
                 SliceHook* hook = nullptr);

  static constexpr bool UsesTinyBlock(const TypeInfo& type, uint64_t count) {
    // The byte after an array's last element is the array's too.
    return !type.has_pointers() && type.align <= 8 && type.size < kTinySize &&
           count < kTinySize &&
           type.size * count + (count > 1 ? 1 : 0) < kTinySize;
  }

  // By the cache's user: from now on one byte in `rate` is sampled; no sampler
  // or rate 0: none. Ends all runs, for they were taken regardless.
  void SetSampling(const Sampling& sampling);

  // Its user has been interrupted at any instruction outside of this class's
  // out-of-line functions, and waits. Takes the next slot of each run, in case
  // the user was about to; after that the cache may be flushed or parked: the
  // user, when it goes on, has that slot or finds the run ended.
  void TakeSlotsInFlight();
  // World stopped, before a cycle marks: unused slots of all current runs
  // become free again in their spans, so that conservative marking tells them
  // from objects; forgets the tiny block.
  void ParkRuns();
  // World stopped: whether slots are marked when they are taken, as they must
  // be while a cycle marks concurrently. Off at first.
  void set_allocate_black(bool black) { allocate_black_ = black; }
  bool allocate_black() const { return allocate_black_; }
  // Bytes of slots that were marked when they were taken, since the last call.
  uint64_t TakeBlackBytes() { return std::exchange(black_bytes_, 0); }
  // Flushes everything if the sweep generation has moved on since the last
  // flush (at most by one cycle: more is fatal). The cache's thread calls it
  // before its first allocation after a cycle, the collector for idle ones.
  void PrepareForSweep();
  // Gives all spans back to the central lists. Fatal when one of them is
  // neither cached (sg+3) nor stale (sg+1).
  void ReleaseAll();
  // Brings the allocation statistics, which are otherwise only counted when a
  // span is given back, up to date.
  void PublishStats();

  // The generation of the last flush; the next cycle may start when all caches
  // have sg. Release by PrepareForSweep, acquire here.
  uint32_t flush_gen() const { return flush_gen_.LoadAcquire(); }

  // Fatal when an invariant is broken. By the cache's user.
  void CheckInvariants() const;

 private:
  friend class MCacheTestPeer;

  // An ended run: whoever has loaded the limit of the run before, and loads
  // `next` only now, finds no slot.
  static constexpr uintptr_t kEnded = uintptr_t{1} << 62;

  struct Run {
    uintptr_t next = kEnded;
    uintptr_t limit = 0;
    // kPointerBitmap: what each slot from `next` on has; 0: not known.
    uint64_t pointer_bits = 0;

    // Not an equality: an interrupted user may have stored a `next` of before.
    bool ended() const { return next >= limit; }
  };
  enum class Tail : uint8_t {
    kReturn,          // nobody can have marked its slots
    kUnmark,          // no marker is at work; marks may be left from before
    kLeaveAllocated,  // a marker is at work
  };

  // Null when no span can be had; nothing is cached for the class then.
  mheap::MSpan* Refill(mheap::SpanClass span_class);
  void GiveBack(mheap::SpanClass span_class);
  // Ends a run: what becomes of the slots that were not handed out.
  void EndRun(mheap::SpanClass span_class, Tail tail);
  uint32_t UnusedSlots(mheap::SpanClass span_class) const;
  // Counts what has been handed out of the current span since the last time.
  void CountAllocated(mheap::SpanClass span_class, mheap::HeapStats& stats);
  // Slots have been taken, and marked.
  void NoteBlack(const mheap::MSpan& span, uint64_t slots);
  // The next run of the class, and whether its first slot is to be sampled;
  // empty when the heap is exhausted.
  mheap::SlotRun TakeRun(mheap::SpanClass span_class, bool* sampled);
  void Report(void* object, size_t bytes, const TypeInfo* type);
  void ReportSlot(void* slot, mheap::SpanClass span_class,
                  const TypeInfo* type);
  // A large object's span, allocated and listed; not zeroed, of no type.
  mheap::MSpan* TakeLarge(const mheap::ObjectLayout& layout);
  void CheckFlushed() const;

  Run runs_[mheap::kSpanClasses];
  mheap::MSpan* spans_[mheap::kSpanClasses] = {};
  // Slots of the current span that the statistics know of.
  uint32_t counted_[mheap::kSpanClasses] = {};
  uintptr_t tiny_block_ = 0;
  size_t tiny_offset_ = 0;
  uint64_t tiny_count_ = 0;  // not yet in the statistics
  bool allocate_black_ = false;
  AllocationSampler* sampler_ = nullptr;
  SamplePoints sample_points_;  // off without a sampler
  uint64_t black_bytes_ = 0;
  mheap::MHeap& heap_;
  mcentral::MCentrals& centrals_;
  mheap::ProcessorCache& processor_;
  AllocationObserver& observer_;
  Atomic<uint32_t> flush_gen_;
};

}  // namespace tricolor::mcache

#endif  // TRICOLOR_MCACHE_MCACHE_H_
