// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// SpanSet: a concurrent first-in first-out set of spans. Head and tail share
// one 64-bit word; entries live in blocks of 512 from a lock-free pool, and a
// block goes back to it when its 512th entry has been popped. Push takes a
// lock only to add a block to the spine; readers of the spine need none, and a
// replaced spine is not freed while readers may hold it.
//
// Go counterpart: mspanset.go (FIFO form of 1.16 and later). Its seed counted
// entries in use instead of entries popped, which lets a popper free a block
// that a pusher has claimed but not yet counted.
// Lock-free (Push: but for block allocation). Reset: no other user.
// INV-MHEAP-SPANSET-1: each pushed span is popped exactly once.
// INV-MHEAP-SPANSET-2: block k is in spine[k] from its first push to its
// 512th pop. INV-MHEAP-SPANSET-3: head <= tail.

#ifndef TRICOLOR_MHEAP_SPAN_SET_H_
#define TRICOLOR_MHEAP_SPAN_SET_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/lf_stack.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/persistent_alloc.h"

namespace tricolor::mheap {

class MSpan;

// The blocks of all span sets of a heap.
class SpanSetBlockPool {
 public:
  explicit SpanSetBlockPool(PersistentAlloc& memory) : memory_(memory) {}

  struct Block;
  // Null when the OS has no more memory.
  [[nodiscard]] Block* Allocate();
  void Free(Block* block);

  PersistentAlloc& memory() { return memory_; }

 private:
  PersistentAlloc& memory_;
  LfStack free_;
};

class SpanSet {
 public:
  static constexpr uint32_t kBlockEntries = 512;

  explicit SpanSet(SpanSetBlockPool& pool) : pool_(pool) {}
  SpanSet(const SpanSet&) = delete;
  SpanSet& operator=(const SpanSet&) = delete;

  // False when the OS has no memory for a block: then nothing was pushed and
  // no index was claimed. Overflow of the 32-bit index is fatal, never silent.
  [[nodiscard]] bool Push(MSpan* span);
  // The oldest span, or null. Null does not prove that the set is empty
  // while others push: the entry at the head may not have been published yet.
  MSpan* Pop();
  // May be out of date at once.
  bool Empty() const;
  // An empty set starts again at index 0 and gives its last block back. Fatal
  // unless empty. No other thread may use the set (Go: world stopped).
  void Reset();

  // Entries now in the set; exact when nobody else uses it.
  uint32_t Size() const;

 private:
  using Block = SpanSetBlockPool::Block;

  Block* BlockForPush(uint32_t block_index);
  void GrowSpine() ABSL_EXCLUSIVE_LOCKS_REQUIRED(spine_mutex_);

  SpanSetBlockPool& pool_;
  Atomic<uint64_t> head_tail_;     // head in the high half
  Atomic<Atomic<Block*>*> spine_;  // published by spine_length_
  Atomic<uint32_t> spine_length_;  // blocks ever linked since Reset
  Mutex spine_mutex_{LockRank::kSpanSetSpine};
  uint32_t spine_capacity_ ABSL_GUARDED_BY(spine_mutex_) = 0;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPAN_SET_H_
