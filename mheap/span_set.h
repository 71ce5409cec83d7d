// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// SpanSet: a concurrent first-in first-out set of spans. Head and tail share
// one 64-bit word; entries live in blocks of 512 from a lock-free pool, and a
// block goes back to it when its 512th entry has been popped. The spine, which
// finds the blocks, grows by segments that never move or go away.
//
// Go counterpart: spanSet in mspanset.go. docs/span-set.md says how the two
// differ, and proves this one by its interleavings.
// Lock-free, but for Push at the edge of a block (a lock) and Pop of an entry
// whose pusher is descheduled (it waits). Reset, CheckInvariants: no other
// user. INV-MHEAP-SPANSET-1: each pushed span is popped exactly once, in order.
// INV-MHEAP-SPANSET-2: block k is linked from before its first entry is claimed
// until its last has been popped. INV-MHEAP-SPANSET-3: head <= tail.

#ifndef TRICOLOR_MHEAP_SPAN_SET_H_
#define TRICOLOR_MHEAP_SPAN_SET_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/lf_stack.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/persistent_alloc.h"

namespace tricolor::mheap {

class MSpan;

// Places between two atomic steps of an operation.
enum class SpanSetStep : uint8_t {
  kPushLooked,    // Push has read the index and not yet looked for the block
  kPushHasBlock,  // and not yet claimed an entry of it
  kPushClaimed,   // and not yet stored the span
  kPopLooked,     // Pop has read the index and not yet claimed an entry
  kPopClaimed,    // and not yet looked at the entry
  kPopTaken,      // and not yet counted the entry as popped
  kPopLast,       // and not yet unlinked the block, of which it was the last
};

// What the heap's span sets are made of. Tests put in smaller blocks, and stop
// threads at steps.
struct SpanSetTraits {
  static constexpr uint32_t kBlockEntries = 512;
  // Blocks in the first segment of the spine; each next one has twice as many.
  static constexpr uint32_t kFirstSegment = 16;
  static void AtStep(SpanSetStep) {}
  // Called over and over, counting from 0, while an entry has been claimed by a
  // pusher that has not stored its span yet.
  static void Wait(uint32_t attempt);
};

template <typename Traits>
class BasicSpanSet;

// The blocks of all span sets of a heap. Blocks are type-stable: they go back
// to the OS with `memory`.
template <typename Traits>
class BasicSpanSetBlockPool {
 public:
  // `memory` outlives the pool and all sets that use it.
  explicit BasicSpanSetBlockPool(PersistentAlloc& memory) : memory_(memory) {}
  BasicSpanSetBlockPool(const BasicSpanSetBlockPool&) = delete;
  BasicSpanSetBlockPool& operator=(const BasicSpanSetBlockPool&) = delete;

  // Obtained from memory so far, free ones included.
  uint64_t blocks() const { return blocks_.LoadRelaxed(); }

  // Of the blocks and of the spines of all sets.
  ByteCount bytes() const {
    return ByteCount(blocks() * sizeof(Block) + spine_bytes_.LoadRelaxed());
  }

  // Returns the number of free blocks. Fatal when one is not clean. No other
  // user.
  uint64_t CheckInvariants();

 private:
  friend class BasicSpanSet<Traits>;
  friend class SpanSetTestPeer;

  struct alignas(LfStack::kNodeAlignment) Block : LfNode {
    // Entries popped since the block was linked.
    alignas(64) Atomic<uint32_t> popped;
    // Null: not stored yet, or popped.
    alignas(64) Atomic<MSpan*> entries[Traits::kBlockEntries];
  };

  // All entries null. Null when the OS has no more memory.
  [[nodiscard]] Block* Allocate();
  // All entries are null again, and nobody else uses the block.
  void Free(Block* block);

  PersistentAlloc& memory_;
  LfStack free_;
  Atomic<uint64_t> blocks_;
  Atomic<uint64_t> spine_bytes_;
};

template <typename Traits>
class alignas(64) BasicSpanSet {
 public:
  using Pool = BasicSpanSetBlockPool<Traits>;
  static constexpr uint32_t kBlockEntries = Traits::kBlockEntries;
  // Pushes between two Resets are fewer than this.
  static constexpr uint32_t kMaxIndex = UINT32_MAX;

  explicit BasicSpanSet(Pool& pool) : pool_(pool) {}
  BasicSpanSet(const BasicSpanSet&) = delete;
  BasicSpanSet& operator=(const BasicSpanSet&) = delete;

  // False when the OS has no memory for a block: then nothing was pushed and
  // no index was claimed. Overflow of the 32-bit index is fatal, never silent.
  // Must not be interrupted by a safepoint: Pop may wait for its second half.
  [[nodiscard]] bool Push(MSpan* span);
  // The oldest span, or null: then the set was empty at some moment of the
  // call. Sees what the pusher of the span had written before.
  MSpan* Pop();
  // May be out of date at once.
  bool Empty() const { return Size() == 0; }
  // Entries now in the set; exact when nobody else uses it.
  uint32_t Size() const;

  // An empty set starts again at index 0 and gives its last block back. Fatal
  // unless empty. No other thread may use the set (Go: world stopped).
  void Reset();

  // Fatal when an invariant does not hold. No other thread may use the set.
  void CheckInvariants();

 private:
  friend class SpanSetTestPeer;

  using Block = typename Pool::Block;
  using Link = Atomic<Block*>;

  static constexpr uint32_t kFirstSegment = Traits::kFirstSegment;
  static_assert(IsPowerOfTwo(kBlockEntries));
  static_assert(IsPowerOfTwo(kFirstSegment));
  // Segment s begins with block kFirstSegment * (2^s - 1).
  static constexpr int SegmentOf(uint32_t k) {
    return Log2Floor(uint64_t{k} / kFirstSegment + 1);
  }
  static constexpr uint64_t SegmentLength(int s) {
    return uint64_t{kFirstSegment} << s;
  }
  static constexpr int kSegments = SegmentOf(kMaxIndex / kBlockEntries) + 1;

  static constexpr uint32_t HeadOf(uint64_t index) {
    return static_cast<uint32_t>(index >> 32);
  }
  static constexpr uint32_t TailOf(uint64_t index) {
    return static_cast<uint32_t>(index);
  }
  static constexpr uint64_t kHeadUnit = uint64_t{1} << 32;

  // Where block `k` is linked. Null: its segment does not exist yet.
  Link* FindLink(uint32_t k) const;
  // The block, if it is linked and the calling thread can see that already.
  Block* FindBlock(uint32_t k) const;
  // Links block `k`, unless it is or has been linked. False when the OS
  // refuses memory for it.
  [[nodiscard]] bool LinkBlock(uint32_t k);
  // As FindLink, but makes the segment. Null when the OS refuses.
  Link* MakeLink(uint32_t k) ABSL_EXCLUSIVE_LOCKS_REQUIRED(spine_mutex_);
  // Counts an entry of block `k` as popped; frees the block if it was the last.
  void CountPopped(uint32_t k, Block* block);
  void CheckBlock(uint32_t k, uint32_t head, uint32_t tail) const;

  // Head in the high half, tail in the low half: indexes of the next entry to
  // pop and to push. Never decreases but by Reset.
  Atomic<uint64_t> head_tail_;
  Pool& pool_;
  Mutex spine_mutex_{LockRank::kSpanSetSpine};
  Atomic<Link*> segments_[kSegments];
  // Blocks linked since Reset, in the order of their numbers.
  uint32_t linked_ ABSL_GUARDED_BY(spine_mutex_) = 0;
};

using SpanSetBlockPool = BasicSpanSetBlockPool<SpanSetTraits>;
using SpanSet = BasicSpanSet<SpanSetTraits>;

extern template class BasicSpanSetBlockPool<SpanSetTraits>;
extern template class BasicSpanSet<SpanSetTraits>;

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPAN_SET_H_
