// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MSpan: a run of pages with one owner. A heap span holds object slots of one
// span class; a manual span is raw memory for the collector's own use.
//
// State: Dead -> InUse -> Dead, or Dead -> Manual -> Dead. Structures are
// type-stable and reused; `sweep_gen` survives reuse.
//
// Sweep generation against the heap's generation sg (grows by 2 each cycle):
//   sg-2 needs sweeping            sg+1 cached before this sweep began: stale,
//   sg-1 being swept                    its cache must sweep it
//   sg   swept, ready              sg+3 swept, then cached
// Only the winner of the compare-and-swap sg-2 -> sg-1 (or the cache of a stale
// span) sweeps; publishing sg is the sweeper's last store to the span.
//
// Publication: all fields, then state (release), then the page tables. Readers
// of a suspect address go the other way round.
// Go counterpart: mspan in mheap.go. Owned by MHeap. Thread safety: by field.

#ifndef TRICOLOR_MHEAP_MSPAN_H_
#define TRICOLOR_MHEAP_MSPAN_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mark_bits.h"
#include "tricolor/mheap/span_class.h"
#include "tricolor/mheap/special.h"
#include "tricolor/mheap/type_info.h"

namespace tricolor::mheap {

enum class SpanState : uint8_t { kDead, kInUse, kManual };

// For reports: without the k.
const char* SpanStateName(SpanState state);

// A run of consecutive free slots, [first, first + count).
struct SlotRun {
  uint32_t first = 0;
  uint32_t count = 0;
};

class ABSL_CACHELINE_ALIGNED MSpan {
 public:
  // Enough for Describe.
  static constexpr size_t kDescriptionSize = 320;

  MSpan(const MSpan&) = delete;
  MSpan& operator=(const MSpan&) = delete;

  // ---- Set before publication, constant while the span is in use. Of a span
  // that may be freed and reused meanwhile, only IsHeapSpanAt may read them.
  Addr base() const { return Addr(base_.LoadRelaxed()); }
  // The end of the slots (in-span metadata and the tail waste lie above).
  Addr limit() const { return Addr(limit_.LoadRelaxed()); }
  PageCount pages() const { return pages_; }
  ByteCount bytes() const { return BytesOf(pages_); }
  SpanClass span_class() const { return span_class_; }
  // Slot size in bytes: what one object takes. For a large span: all of it.
  uint64_t slot_size() const { return slot_size_; }
  uint32_t slots() const { return slots_; }
  bool is_large() const { return span_class_.is_large(); }

  // Acquire; pairs with the release of publication.
  SpanState state() const { return StateOf(state_.LoadAcquire()); }

  // Whether `a` was in a slot of this structure, as a heap span, at some moment
  // of the call: for readers who come by a suspect address, while the structure
  // may be freed and become another span. Without the last look at the state:
  //   reader: state InUse, base of this life; `a` lies behind the last slot
  //   owner:  frees the span; makes the structure a span at higher addresses
  //   reader: limit of the new life, which is above `a`
  // The stores of base and limit release, and are loaded with acquire, so that
  // who sees one of a later life sees the state of a later life, too. Each
  // change of state is a new value (docs/mheap.md, "Publication").
  bool IsHeapSpanAt(Addr a) const {
    const uint64_t state = state_.LoadAcquire();
    if (StateOf(state) != SpanState::kInUse) return false;
    const uint64_t base = base_.LoadAcquire();
    const uint64_t limit = limit_.LoadAcquire();
    return base <= a.value() && a.value() < limit &&
           state_.LoadRelaxed() == state;
  }

  // ---- Slots. `a` is in [base, limit).
  uint32_t IndexOf(Addr a) const {
    // The magic number of a large span is 0, and 0 its only index.
    return DivideByMagic(static_cast<uint32_t>((a - base()).value()),
                         div_magic_);
  }
  Addr SlotAddress(uint32_t index) const {
    return base() + ByteCount(slot_size_ * index);
  }

  // ---- Allocation: only the span's owner (its cache, or who holds it off
  // every set) calls these.
  // Takes the next run of free slots of at most `max_slots` (at least 1): they
  // count as allocated from now on. Memory is zeroed (if it needs to be) before
  // the slots become visible to conservative readers, and the slots are marked
  // if they are to be `black`. Empty when full.
  SlotRun TakeFreeRun(uint32_t max_slots, bool black = false);
  // Takes the only slot of a new large span and leaves its memory as it is:
  // needs_zero() says whether the caller has to zero it. Nobody scans it before
  // large_type() is set.
  void TakeLarge(bool black = false);
  // Gives back the last `count` slots of the run that was taken last, which
  // nobody has written to: they stay zero, and are not zeroed again.
  void ReturnRunTail(uint32_t count);
  uint32_t allocated() const { return allocated_; }  // slots, runs in full
  bool full() const { return allocated_ == slots_; }

  // Whether slot `index` is free as far as a conservative reader on any thread
  // may know: not handed out since the last sweep and not marked by it.
  // Acquires what TakeFreeRun released.
  bool IsFree(uint32_t index) const {
    if (index < free_index_.LoadAcquire()) return false;
    return !TestBit(alloc_bits_.LoadAcquire(), index);
  }

  // IsFree of the slots from 64 * `word` on, as bits.
  uint64_t FreeBits(uint32_t word) const {
    const uint32_t first = word * 64;
    const uint32_t index = free_index_.LoadAcquire();
    if (index >= first + 64) return 0;
    const uint64_t handed_out = index > first ? LowMask(index - first) : 0;
    return ~(handed_out | alloc_bits_.LoadAcquire()[word].LoadRelaxed()) &
           LowMask(slots_ - first);
  }

  // Whether no slot was ever live at a sweep: all pages are new, or reused.
  bool never_swept() const { return alloc_bits_.LoadRelaxed() == kNoneLive; }

  // ---- Marks of the running cycle. Any thread.
  MarkWord* mark_bits() const { return mark_bits_.LoadAcquire(); }
  bool IsMarked(uint32_t index) const { return TestBit(mark_bits(), index); }
  // Marks; true when the bit was not set before.
  bool SetMarked(uint32_t index) {
    const uint64_t bit = uint64_t{1} << (index & 63);
    return (mark_bits()[index >> 6].FetchOrRelaxed(bit) & bit) == 0;
  }
  // Sets the bits of a whole run (allocate-black) or clears them (unused slots
  // of a stale run, by the cache that owns the span).
  void MarkRun(SlotRun run);
  void UnmarkRun(SlotRun run);
  uint32_t CountMarked() const;

  // ---- Sweeping; see the class comment.
  uint32_t sweep_gen() const { return sweep_gen_.LoadAcquire(); }
  void set_sweep_gen(uint32_t gen) { sweep_gen_.StoreRelease(gen); }
  // The compare-and-swap sg-2 -> sg-1.
  bool TryAcquireForSweep(uint32_t sg);
  // By the sweeper: marks become allocation bits, `fresh` the new mark bits,
  // allocation starts again at slot 0. `marked` == CountMarked().
  void FinishSweep(MarkWord* fresh, uint32_t marked);

  // ---- Pointers within slots.
  // kPointerBitmap: bit i of the result is word i of the slot (at most 64).
  // Relaxed reads; bits of a slot are stable once its object is published.
  uint64_t PointerBits(uint32_t index) const {
    const uint32_t words = static_cast<uint32_t>(slot_size_ / 8);
    const uint32_t bit = index * words;
    const uint32_t shift = bit & 63;
    const Atomic<uint64_t>* word = pointer_bitmap() + (bit >> 6);
    uint64_t bits = word[0].LoadRelaxed() >> shift;
    if (shift + words > 64) bits |= word[1].LoadRelaxed() << (64 - shift);
    return bits & LowMask(words);
  }
  // By the allocating owner, before the object is published. The words are
  // shared with the neighbors, but only the span's owner writes any of them.
  void SetPointerBits(uint32_t index, uint64_t bits) {
    const uint32_t words = static_cast<uint32_t>(slot_size_ / 8);
    const uint32_t bit = index * words;
    const uint32_t shift = bit & 63;
    const uint64_t mask = LowMask(words);
    Atomic<uint64_t>* word = pointer_bitmap() + (bit >> 6);
    ReplaceBits(word[0], mask << shift, bits << shift);
    if (shift + words > 64) {
      ReplaceBits(word[1], mask >> (64 - shift), bits >> (64 - shift));
    }
  }
  // kPointerBitmap: the pointer bits of each slot that is not free, if they are
  // all the same and were all told to MHeap::NotePointerBits; otherwise 0.
  uint64_t common_pointers() const {
    return common_pointers_ == kNoObjectsYet ? 0 : common_pointers_;
  }
  // kPointerBitmap: the bitmap in the last bytes of the span's page.
  Atomic<uint64_t>* pointer_bitmap() const {
    return (base() + ByteCount(kPageSize - kPointerBitmapBytes))
        .as<Atomic<uint64_t>>();
  }
  // Large spans: null until the object is ready to be scanned. Set: release.
  const TypeInfo* large_type() const { return large_type_.LoadAcquire(); }
  void set_large_type(const TypeInfo* type) { large_type_.StoreRelease(type); }

  // ---- Specials, guarded by specials_mutex().
  Mutex& specials_mutex() ABSL_LOCK_RETURNED(specials_mutex_) {
    return specials_mutex_;
  }
  Special*& specials() ABSL_EXCLUSIVE_LOCKS_REQUIRED(specials_mutex_) {
    return specials_;
  }

  // Owner only: the shard (ProcessorCache::shard) of the processor that had the
  // span last; whose lists it belongs to.
  uint32_t shard() const { return shard_; }
  void set_shard(uint32_t shard) { shard_ = static_cast<uint8_t>(shard); }

  // Owner only: whether free slots may hold anything but zeros.
  bool needs_zero() const { return needs_zero_; }

  // Writes one line, cut at `size` bytes, that says what the span is. For
  // fatal reports: reads without synchronization, allocates nothing. Returns
  // `buffer`.
  const char* Describe(char* buffer, size_t size) const;

  // ---- An intrusive list for manual spans (work buffers), guarded by the
  // list's owner.
  MSpan* list_next = nullptr;
  MSpan* list_prev = nullptr;

 private:
  friend class MHeap;  // and its checker
  friend class MSpanTestPeer;

  MSpan() = default;

  // The allocation bits of every span that has not been swept yet.
  static const MarkWord kNoneLive[kMaxSlots / 64];

  static bool TestBit(const MarkWord* words, uint32_t index) {
    return ((words[index >> 6].LoadRelaxed() >> (index & 63)) & 1) != 0;
  }
  // Most objects of a span have the layout of those that were there before, so
  // the store, and the cache line's way here, is saved in the common case.
  static void ReplaceBits(Atomic<uint64_t>& word, uint64_t mask,
                          uint64_t bits) {
    const uint64_t old = word.LoadRelaxed();
    const uint64_t replaced = (old & ~mask) | bits;
    if (replaced != old) word.StoreRelaxed(replaced);
  }

  // By MHeap, before publication: everything but the generation.
  void SetBounds(Addr base, Addr limit);
  void InitManual(Addr base, PageCount pages);
  void InitHeap(Addr base, PageCount pages, SpanClass span_class,
                MarkWord* mark_bits, bool needs_zero);
  static constexpr uint8_t kNoObjectsYet = 0xff;
  // The state is in the low byte of its word; the rest counts the changes.
  static constexpr uint64_t kStateChange = uint64_t{1} << 8;
  static SpanState StateOf(uint64_t word) {
    return static_cast<SpanState>(word % kStateChange);
  }
  // By the only thread that has the structure. Release: publishes the fields.
  void set_state(SpanState state) {
    const uint64_t old = state_.LoadRelaxed();
    state_.StoreRelease(old - old % kStateChange + kStateChange +
                        static_cast<uint64_t>(state));
  }
  // The first slot from `from` on that was live at the last sweep (`live`) or
  // was not (otherwise); at most `limit`.
  uint32_t NextSlot(bool live, uint32_t from, uint32_t limit) const;
  void ZeroSlots(uint32_t first, uint32_t end);
  AddrRange RangeOf(uint32_t first, uint32_t end) const {
    return {SlotAddress(first), SlotAddress(end)};
  }
  void PoisonFreeSlots();

  Atomic<uint64_t> base_;
  Atomic<uint64_t> limit_;
  uint64_t slot_size_ = 0;
  uint32_t slots_ = 0;
  uint32_t div_magic_ = 0;  // ceil(2^32 / slot_size): exact for small spans
  // First slot never handed out since the last sweep. Written by the owner;
  // read by conservative readers.
  Atomic<uint32_t> free_index_;
  uint32_t allocated_ = 0;
  // Bit set: the slot was live at the last sweep. Replaced by the sweeper, and
  // never written to.
  Atomic<const MarkWord*> alloc_bits_;
  Atomic<MarkWord*> mark_bits_;
  // The epoch (of MarkBitArenas) that mark_bits_ was handed out in. Kept, with
  // the bits and the number of slots, when the span is freed.
  uint32_t mark_bits_epoch_ = 0;
  Atomic<uint32_t> sweep_gen_;
  // Free slots below are known to be zero although needs_zero_: they were
  // taken and given back since the last sweep.
  uint32_t zeroed_end_ = 0;
  SpanClass span_class_;
  bool needs_zero_ = false;
  uint8_t common_pointers_ = kNoObjectsYet;
  uint8_t shard_ = 0;
  Atomic<uint64_t> state_;
  Atomic<const TypeInfo*> large_type_;
  PageCount pages_;
  Mutex specials_mutex_{LockRank::kSpanSpecials};
  Special* specials_ ABSL_GUARDED_BY(specials_mutex_) = nullptr;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_MSPAN_H_
