// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MHeap: the page heap. One contiguous reservation of address space, grown from
// its base by whole chunks; flat page tables committed by 64 MiB arena; spans
// cut from it for objects (AllocSpan) and for the collector's own use
// (AllocManual).
//
// Locks: one heap lock guards the page allocator, the span structures' free
// list and growth. AllocSpan and FreeSpan try the processor's page and span
// caches first; span initialization is wholly outside the lock.
// Invariants: docs/mheap.md, INV-MHEAP-n; CheckInvariants() checks them.
//
// Go counterpart: mheap in mheap.go (allocSpan, freeSpanLocked, grow,
// setSpans). Thread-safe, with a ProcessorCache of the calling thread's own.

#ifndef TRICOLOR_MHEAP_MHEAP_H_
#define TRICOLOR_MHEAP_MHEAP_H_

#include <bit>
#include <cstdint>
#include <optional>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/fixed_alloc.h"
#include "tricolor/base/lazy_array.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/arena_table.h"
#include "tricolor/mheap/consistent_stats.h"
#include "tricolor/mheap/heap_stats.h"
#include "tricolor/mheap/huge_chunks.h"
#include "tricolor/mheap/mark_bits.h"
#include "tricolor/mheap/metadata_sizes.h"
#include "tricolor/mheap/mheap_options.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/page_info.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/mheap/scavenge_control.h"
#include "tricolor/mheap/scavenge_goals.h"
#include "tricolor/mheap/span_class.h"
#include "tricolor/mheap/span_request.h"
#include "tricolor/mheap/span_set.h"
#include "tricolor/mheap/span_sweeper.h"
#include "tricolor/mheap/special.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/pagealloc/scavenge_candidate.h"

namespace tricolor::mheap {

class ABSL_CACHELINE_ALIGNED MHeap {
 public:
  // Spans of fewer pages come from the page cache, if they fit.
  static constexpr PageCount kPageCacheLimit{pagealloc::PageCache::kPages / 4};

  // `os` outlives the heap.
  MHeap(OsMemory& os, const MHeapOptions& options = {});
  // Gives everything back to the OS. All processors have been released.
  ~MHeap();
  MHeap(const MHeap&) = delete;
  MHeap& operator=(const MHeap&) = delete;

  // Once, before anything else. False when the OS grants no reservation.
  [[nodiscard]] bool Init();
  // Before the first AllocSpan while sweeping is possible. Null: no sweeping.
  void set_sweeper(SpanSweeper* sweeper) { sweeper_ = sweeper; }
  SpanSweeper* sweeper() const { return sweeper_; }
  // Before the first weak slot: what all of them have as `heap`.
  void set_owner(void* owner) { owner_ = owner; }

  // ---- Processors.
  void AttachProcessor(ProcessorCache& processor);
  // Returns all cached pages and span structures; keeps its statistics.
  void ReleaseProcessor(ProcessorCache& processor);
  // Returns the cached pages only (idle processors, at the end of a cycle).
  void FlushPageCache(ProcessorCache& processor);

  // ---- Spans.
  // A span of `span_class` with all slots free, in state InUse, with generation
  // sg, on no set. Large: `pages` as given and one slot; small: the class's.
  // `alignment` in pages, a power of two. Null, and nothing changed, when the
  // heap cannot grow; before, the sweeper is asked, with no lock held.
  [[nodiscard]] MSpan* AllocSpan(ProcessorCache& processor, PageCount pages,
                                 SpanClass span_class,
                                 PageCount alignment = PageCount(1));
  // A span of a small class, of the class's size.
  [[nodiscard]] MSpan* AllocSpan(ProcessorCache& processor,
                                 SpanClass span_class);
  // Raw memory for the collector's own use. Never sweeps: may be called under a
  // lock whose rank is below the heap's.
  [[nodiscard]] MSpan* AllocManual(ProcessorCache& processor, PageCount pages);
  // A swept heap span without live objects or specials. Fatal unless InUse and
  // sweep_gen() == sg. A run in the window of the processor's page cache goes
  // back there, without the lock.
  void FreeSpan(ProcessorCache& processor, MSpan* span);
  void FreeManual(ProcessorCache& processor, MSpan* span);
  // By the span's sweeper, before it publishes the generation: new mark bits,
  // and PageInfo. Needs no memory in a cycle: it has been reserved.
  void FinishSweep(MSpan& span, uint32_t marked);

  // By the span's owner, before an object with these pointer bits is published,
  // on a span of kPointerBitmap. Who tells of one object of a span tells of
  // all. INV-MHEAP-COMMON.
  void NotePointerBits(MSpan& span, uint64_t bits) {
    if (ABSL_PREDICT_FALSE(span.common_pointers_ != bits ||
                           !PageInfo::HasRoomFor(bits))) {
      NotePointerBitsSlow(span, bits);
    }
  }

  // ---- Lookup. Lock-free, any thread, any address.
  // Whether `a` lies in the part that has been grown.
  bool Contains(Addr a) const {
    return a.value() - base_.value() < grown_bytes_.LoadRelaxed();
  }
  Addr base() const { return base_; }
  // Bytes from base() that belong to the heap, grown or not.
  ByteCount reserved() const { return reserved_; }
  // Bytes from base() that have been grown so far; only increases.
  ByteCount grown() const { return ByteCount(grown_bytes_.LoadAcquire()); }
  // Only for Contains(a).
  PageInfo page_info(Addr a) const {
    return PageInfo(page_info_[PageIndex(a)].LoadAcquire());
  }
  const Atomic<uint64_t>* page_info_table() const { return page_info_; }
  // The span that `a` lies in, whatever its state; null when there is none.
  MSpan* SpanOf(Addr a) const {
    return Contains(a) ? spans_[PageIndex(a)].LoadAcquire() : nullptr;
  }
  // The heap span with `a` in one of its slots at some moment of the call, or
  // null. It stands while nobody frees spans, as when a cycle marks.
  MSpan* HeapSpanOf(Addr a) const {
    MSpan* span = SpanOf(a);
    return span != nullptr && span->IsHeapSpanAt(a) ? span : nullptr;
  }

  // ---- Sweep generation.
  uint32_t sweep_gen() const { return sweep_gen_.LoadAcquire(); }
  // World stopped only: sg += 2.
  void AdvanceSweepGen() {
    sweep_gen_.StoreRelease(sweep_gen() + 2);
    mark_bit_arenas_.MarkingDone();
  }

  // ---- Page bitmaps: one bit a page, that of a span's first page counts.
  // `index` counts 64-page words from base().
  Atomic<uint64_t>& page_in_use_word(uint64_t index) const {
    return arenas_[index / ArenaTable::kWords].in_use[ArenaTable::Place(index)];
  }
  Atomic<uint64_t>& page_marks_word(uint64_t index) const {
    return arenas_[index / ArenaTable::kWords].marks[ArenaTable::Place(index)];
  }
  Atomic<uint64_t>& page_specials_word(uint64_t index) const {
    return arenas_[index / ArenaTable::kWords]
        .specials[ArenaTable::Place(index)];
  }
  // Words that have been grown.
  uint64_t page_words() const { return PagesIn(grown()).value() / 64; }
  // World stopped or sweep finished: before a cycle marks.
  void ClearPageMarks();
  // Calls `visit` for each heap span whose page-in-use bit is set. World
  // stopped, or with stale answers tolerated.
  template <typename Visit>
  void ForEachHeapSpan(Visit visit) const {
    const uint64_t words = page_words();
    for (uint64_t i = 0; i < words; ++i) {
      uint64_t bits = page_in_use_word(i).LoadAcquire();
      for (; bits != 0; bits &= bits - 1) {
        const auto bit = static_cast<uint64_t>(std::countr_zero(bits));
        MSpan* span = spans_[i * 64 + bit].LoadAcquire();
        if (span != nullptr) visit(*span);
      }
    }
  }

  // ---- Specials. The span has been swept (generation sg or sg+3, else fatal)
  // and stays allocated. Null when there is no memory for the record.
  // The slot that all weak pointers to one object share; a new one gets a new
  // serial and the slot's address as target.
  [[nodiscard]] WeakSlot* WeakSlotFor(MSpan& span, uint32_t object_index);
  [[nodiscard]] CallSpecial* AddCleanup(MSpan& span, uint32_t object_index,
                                        void* record);
  // Takes a cleanup off; false when it is not there (any more).
  bool RemoveCleanup(MSpan& span, uint32_t object_index, uint64_t id,
                     void** record);
  // Fatal when the object has a finalizer.
  [[nodiscard]] CallSpecial* SetFinalizer(MSpan& span, uint32_t object_index,
                                          void* record);
  // Takes the finalizer off; false when there is none.
  bool ClearFinalizer(MSpan& span, uint32_t object_index, void** record);
  // Finalizers of all objects. None: no span need be asked for them.
  uint64_t finalizers() const { return finalizers_.LoadRelaxed(); }
  // Writes up to `most` indices, from `first` on and rising, of objects that
  // have a finalizer; how many. For marking.
  uint32_t FinalizableObjects(MSpan& span, uint32_t first, uint32_t* indices,
                              uint32_t most);
  // By the sweeper, before it looks at marks: unlinks the specials of unmarked
  // objects, in list order, and returns them linked by `next`. An object with a
  // finalizer loses that and its weak handle only, and is marked: it lives on.
  // Clears the page bit when none stay. The serials of weak slots are zero when
  // it returns: no weak pointer is alive while a finalizer or cleanup runs.
  Special* TakeDeadSpecials(MSpan& span);
  // By the receiver of a dead special. Retires a weak slot, its serial zero.
  void FreeSpecial(Special* special);

  // ---- Memory back to the OS (docs/scavenging.md), in bytes released; ends
  // when the OS refuses. The heap lock is not held during the calls of the OS.
  // On request: dense huge pages too.
  ByteCount Scavenge(ByteCount goal);
  // From now on; the collector sets them after each cycle.
  void SetScavengeGoals(const ScavengeGoals& goals) {
    scavenge_.SetGoals(goals);
  }
  // Bytes beyond what the background keeps to.
  ByteCount ScavengeExcess() const;
  // Of them up to `max`, or a little more; leaves dense chunks alone.
  ByteCount ScavengeInBackground(ByteCount max);
  // Down to the limit, or its target in the background, at once.
  ByteCount ScavengeToLimit(bool with_margin = false);
  // At the end of marking: what was dense counts as such for one more.
  void NextScavengeGeneration();
  // After a sweep: asks for huge pages for split chunks that are dense again;
  // returns for how many.
  uint64_t JoinDenseChunks();
  ScavengeTotals scavenge_totals() const { return scavenge_.totals(); }

  // ---- Shared resources of the floors above.
  PersistentAlloc& metadata() { return metadata_; }
  SpanSetBlockPool& span_set_blocks() { return span_set_blocks_; }
  MarkBitArenas& mark_bit_arenas() { return mark_bit_arenas_; }
  OsMemory& os() { return os_; }

  // ---- Statistics and checks.
  // At any time: the answer belongs to one moment, and INV-MHEAP-BYTES holds in
  // it (else fatal). Not within a StatsSection.
  HeapStats ReadStats() const;
  // At any time; its parts may be of different moments.
  MetadataSizes ReadMetadataSizes() const
      ABSL_LOCKS_EXCLUDED(lock_, special_lock_);
  PageCount pages_in_use() const;  // by heap spans; reads the statistics
  // Mapped for spans: in use, manual, free and cached.
  ByteCount mapped() const { return grown(); }
  // Of them, bytes that the OS holds memory for. For pacing; costs one load.
  ByteCount ready() const { return ByteCount(ready_bytes_.LoadRelaxed()); }
  // Quiescent: no other thread in the heap. Fatal when an invariant is broken.
  void CheckInvariants() const;

 private:
  friend class MHeapTestPeer;
  class Checker;  // mheap_check.cc

  // All that depends on how much the OS lets us reserve.
  struct Tables {
    explicit Tables(OsMemory& os) : spans(os), page_info(os), arenas(os) {}

    LazyArray<Atomic<MSpan*>> spans;        // by page
    LazyArray<Atomic<uint64_t>> page_info;  // by page
    LazyArray<ArenaTable> arenas;
  };

  uint64_t PageIndex(Addr a) const { return (a - base_).value() >> kPageShift; }
  Addr AddressOfPage(uint64_t index) const {
    return base_ + BytesOf(PageCount(index));
  }

  // mheap.cc
  [[nodiscard]] bool TryReserve(ByteCount size) ABSL_LOCKS_EXCLUDED(lock_);
  [[nodiscard]] bool Grow(PageCount pages, PageCount alignment)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  [[nodiscard]] bool CommitTables(uint64_t offset, uint64_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);

  // mheap_alloc.cc
  MSpan* Allocate(ProcessorCache& processor, const SpanRequest& request);
  void TakeFromPageCache(ProcessorCache& processor, PageCount pages,
                         SpanParts* parts);
  bool TakeFromCaches(ProcessorCache& processor, const SpanRequest& request,
                      SpanParts* parts);
  bool TakeSlow(ProcessorCache& processor, const SpanRequest& request,
                SpanParts* parts) ABSL_LOCKS_EXCLUDED(lock_);
  bool TakeLocked(ProcessorCache& processor, const SpanRequest& request,
                  bool may_grow, SpanParts* parts) ABSL_LOCKS_EXCLUDED(lock_);
  void TakePages(ProcessorCache& processor, const SpanRequest& request,
                 SpanParts* parts) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  MSpan* TakeStructure(ProcessorCache& processor)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  MSpan* NewStructure() ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  bool CommitPages(PageCount pages, const SpanParts& parts);
  void GiveBack(PageCount pages, const SpanParts& parts)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void CountReleased(int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void GiveBackScavenged(AddrRange range) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  bool NeedsZero(Addr base, PageCount pages, ByteCount scavenged);
  bool NoteDirty(AddrRange range);
  static void CountAllocated(ProcessorCache& processor,
                             const SpanRequest& request,
                             const SpanParts& parts);
  static MSpan* Refuse(ProcessorCache& processor, const SpanParts& parts);
  MarkWord* MarkBitsFor(MSpan& span, uint32_t slots, uint32_t shard);
  MSpan* MakeHeapSpan(ProcessorCache& processor, const SpanRequest& request,
                      SpanParts& parts);
  MSpan* MakeManualSpan(ProcessorCache& processor, const SpanRequest& request,
                        const SpanParts& parts);
  void Publish(MSpan& span);
  void PublishPageInfo(const MSpan& span);
  void NotePointerBitsSlow(MSpan& span, uint64_t bits);
  void Unpublish(MSpan& span);

  void CheckFreeable(const MSpan* span, SpanState expected) const;
  void Free(ProcessorCache& processor, MSpan* span);
  static void CountFreed(ProcessorCache& processor, const MSpan& span,
                         bool locked);
  void MakeRoomForStructures(ProcessorCache& processor)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  static bool InWindow(const pagealloc::PageCache& cache, Addr base,
                       PageCount pages);
  static void ReturnToPageCache(ProcessorCache& processor, Addr base,
                                PageCount pages);

  // mheap_scavenge.cc
  void ScavengeAssist(ByteCount commit, ByteCount growth)
      ABSL_LOCKS_EXCLUDED(lock_);
  ByteCount Release(ByteCount goal, pagealloc::ScavengeMode mode,
                    ScavengeReason reason) ABSL_LOCKS_EXCLUDED(lock_);
  ByteCount ReleaseOne(ByteCount max, pagealloc::ScavengeMode mode)
      ABSL_LOCKS_EXCLUDED(lock_);
  HugePageAdvice AdviceFor(AddrRange candidate)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  uint64_t ChunkIndex(Addr a) const {
    return (a - base_) / pagealloc::kChunkBytes;
  }
  AddrRange ChunkAt(uint64_t index) const;

  // special.cc
  void CheckSpecialTarget(const MSpan& span, uint32_t object_index) const;
  void SetSpecialsBit(const MSpan& span, bool value);
  CallSpecial* NewCallSpecial(void* record) ABSL_LOCKS_EXCLUDED(special_lock_);
  void Resurrect(MSpan& span, uint32_t object_index);
  WeakSpecial* NewWeakSpecial(MSpan& span, uint32_t object_index)
      ABSL_LOCKS_EXCLUDED(special_lock_);

  // Read by every lookup; written by Init and, grown_bytes_, by Grow.
  Addr base_;
  Atomic<uint64_t> grown_bytes_;
  Atomic<MSpan*>* spans_ = nullptr;
  Atomic<uint64_t>* page_info_ = nullptr;
  ArenaTable* arenas_ = nullptr;
  Atomic<uint32_t> sweep_gen_;
  // Memory that the OS holds for us reads as zero. Cleared when pages, some of
  // them not scavenged, had to be declared scavenged.
  Atomic<bool> scavenged_is_zero_;
  SpanSweeper* sweeper_ = nullptr;
  void* owner_ = nullptr;

  const MHeapOptions options_;
  ByteCount reserved_;
  OsMemory& os_;
  PersistentAlloc metadata_;
  SpanSetBlockPool span_set_blocks_;
  MarkBitArenas mark_bit_arenas_;

  mutable Mutex lock_{LockRank::kHeap};
  std::optional<Tables> tables_ ABSL_GUARDED_BY(lock_);
  std::optional<pagealloc::PageAlloc> pages_ ABSL_GUARDED_BY(lock_);
  HugeChunks huge_chunks_ ABSL_GUARDED_BY(lock_);
  PageCount pages_in_flight_ ABSL_GUARDED_BY(lock_);  // in ReleaseOne's hands
  FixedAlloc<MSpan> span_structures_ ABSL_GUARDED_BY(lock_);
  // Bytes from base_ that have been mapped; beyond grown_bytes_ when growth
  // failed half-way.
  ByteCount mapped_ ABSL_GUARDED_BY(lock_);
  ProcessorCache* processors_ ABSL_GUARDED_BY(lock_) = nullptr;
  // Processors by shard.
  uint32_t shard_users_[kShards] ABSL_GUARDED_BY(lock_) = {};
  // To read them is no change of the heap.
  mutable ConsistentStats stats_;
  // Of what belongs to no processor: growth and scavenging.
  StatsWriter own_stats_ ABSL_GUARDED_BY(lock_);

  mutable Mutex special_lock_{LockRank::kSpecialAlloc};
  FixedAlloc<WeakSpecial> weak_specials_ ABSL_GUARDED_BY(special_lock_);
  FixedAlloc<CallSpecial> call_specials_ ABSL_GUARDED_BY(special_lock_);
  FixedAlloc<WeakSlot> weak_slots_ ABSL_GUARDED_BY(special_lock_);
  Atomic<uint64_t> last_serial_;
  Atomic<uint64_t> last_call_id_;
  Atomic<uint64_t> finalizers_;  // specials of that kind

  // Written when pages are scavenged, and committed again; else steady.
  Atomic<uint64_t> ready_bytes_;
  ScavengeControl scavenge_;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_MHEAP_H_
