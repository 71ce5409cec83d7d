// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The bodies of span_set.h, for span_set.cc and for tests with traits of their
// own. docs/span-set.md numbers the interleavings that the comments cite.

#ifndef TRICOLOR_MHEAP_SPAN_SET_INL_H_
#define TRICOLOR_MHEAP_SPAN_SET_INL_H_

#include <cstdint>
#include <new>

#include "tricolor/base/check.h"
#include "tricolor/mheap/span_set.h"

namespace tricolor::mheap {

// ---- The pool.

template <typename Traits>
typename BasicSpanSetBlockPool<Traits>::Block*
BasicSpanSetBlockPool<Traits>::Allocate() {
  // Acquires what Free released: the entries are null, and stay so until the
  // new user stores into them.
  if (LfNode* node = free_.Pop(); node != nullptr) {
    return static_cast<Block*>(node);
  }
  void* memory = memory_.Allocate(ByteCount(sizeof(Block)), alignof(Block));
  if (memory == nullptr) return nullptr;
  blocks_.FetchAddRelaxed(1);
  return ::new (memory) Block();
}

template <typename Traits>
void BasicSpanSetBlockPool<Traits>::Free(Block* block) {
  block->popped.StoreRelaxed(0);
  free_.Push(block);
}

template <typename Traits>
uint64_t BasicSpanSetBlockPool<Traits>::CheckInvariants() {
  const uint64_t free = free_.CheckInvariants();
  TRICOLOR_CHECK(
      free <= blocks(), "span set pool %p has %llu free blocks of %llu in all",
      static_cast<void*>(this), static_cast<unsigned long long>(free),
      static_cast<unsigned long long>(blocks()));
  // Off the stack and on again; this turns the list over, which is harmless.
  LfStack checked;
  while (LfNode* node = free_.Pop()) {
    Block* block = static_cast<Block*>(node);
    for (const Atomic<MSpan*>& entry : block->entries) {
      TRICOLOR_CHECK(entry.LoadRelaxed() == nullptr,
                     "free span set block %p has entry %d = %p, expected null",
                     static_cast<void*>(block),
                     static_cast<int>(&entry - block->entries),
                     static_cast<void*>(entry.LoadRelaxed()));
    }
    TRICOLOR_CHECK(block->popped.LoadRelaxed() == 0,
                   "free span set block %p counts %u popped, expected 0",
                   static_cast<void*>(block), block->popped.LoadRelaxed());
    checked.Push(block);
  }
  while (LfNode* node = checked.Pop()) free_.Push(node);
  return free;
}

// ---- The spine.

template <typename Traits>
typename BasicSpanSet<Traits>::Link* BasicSpanSet<Traits>::FindLink(
    uint32_t k) const {
  const int s = SegmentOf(k);
  // Acquire, pairs with the release in MakeLink: the links are zero.
  Link* segment = segments_[s].LoadAcquire();
  if (segment == nullptr) return nullptr;
  return segment + (uint64_t{k} + kFirstSegment - SegmentLength(s));
}

template <typename Traits>
typename BasicSpanSet<Traits>::Block* BasicSpanSet<Traits>::FindBlock(
    uint32_t k) const {
  const Link* link = FindLink(k);
  // Acquire, pairs with the releases in LinkBlock (the block is clean) and in
  // CountPopped (a null that comes after a block was linked also shows that
  // the tail has moved past it, so that a pusher who finds it looks again).
  return link == nullptr ? nullptr : link->LoadAcquire();
}

template <typename Traits>
typename BasicSpanSet<Traits>::Link* BasicSpanSet<Traits>::MakeLink(
    uint32_t k) {
  if (Link* link = FindLink(k); link != nullptr) return link;
  const int s = SegmentOf(k);
  // Zero bytes are null links.
  const ByteCount size(SegmentLength(s) * sizeof(Link));
  void* memory = pool_.memory_.Allocate(size, alignof(Link));
  if (memory == nullptr) return nullptr;
  pool_.spine_bytes_.FetchAddRelaxed(size.value());
  // Release, pairs with the acquire in FindLink.
  segments_[s].StoreRelease(static_cast<Link*>(memory));
  return FindLink(k);
}

template <typename Traits>
bool BasicSpanSet<Traits>::LinkBlock(uint32_t k) {
  MutexLock lock(spine_mutex_);
  // Another pusher was first; its block may be full and popped already, and
  // must not be linked again, for nobody would ever free it (interleaving 2).
  if (k < linked_) return true;
  TRICOLOR_CHECK(k == linked_,
                 "span set %p has %u blocks linked, next should be %u",
                 static_cast<void*>(this), linked_, k);
  Link* link = MakeLink(k);
  if (link == nullptr) return false;
  Block* block = pool_.Allocate();
  if (block == nullptr) return false;
  // Release, pairs with the acquire in FindBlock.
  link->StoreRelease(block);
  linked_ = k + 1;
  return true;
}

// ---- The queue.

template <typename Traits>
bool BasicSpanSet<Traits>::Push(MSpan* span) {
  TRICOLOR_CHECK(span != nullptr, "null pushed on span set %p",
                 static_cast<void*>(this));
  uint64_t index = head_tail_.LoadAcquire();
  for (;;) {
    const uint32_t tail = TailOf(index);
    TRICOLOR_CHECK(tail != kMaxIndex,
                   "span set %p: index overflow, head %u, tail %u",
                   static_cast<void*>(this), HeadOf(index), tail);
    Traits::AtStep(SpanSetStep::kPushLooked);
    Block* block = FindBlock(tail / kBlockEntries);
    if (block == nullptr) {
      if (!LinkBlock(tail / kBlockEntries)) return false;
      index = head_tail_.LoadAcquire();
      continue;
    }
    Traits::AtStep(SpanSetStep::kPushHasBlock);
    // Success proves that entry `tail` had not been claimed before, so that
    // `block` has not been freed since it was found (interleaving 1).
    // Release, pairs with the acquires in Pop: who sees the entry as claimed
    // sees its block linked. Acquire on failure: the new tail's block.
    if (head_tail_.CompareExchangeAcqRel(index, index + 1)) {
      Traits::AtStep(SpanSetStep::kPushClaimed);
      // Release, pairs with the acquire in Pop: the span's contents.
      block->entries[tail % kBlockEntries].StoreRelease(span);
      return true;
    }
  }
}

template <typename Traits>
MSpan* BasicSpanSet<Traits>::Pop() {
  // Acquire here and on failure, pairs with the release in Push. Other changes
  // of the index are read-modify-writes and continue its release sequence.
  uint64_t index = head_tail_.LoadAcquire();
  do {
    if (HeadOf(index) >= TailOf(index)) return nullptr;
    Traits::AtStep(SpanSetStep::kPopLooked);
  } while (!head_tail_.CompareExchangeAcquire(index, index + kHeadUnit));
  const uint32_t head = HeadOf(index);
  Traits::AtStep(SpanSetStep::kPopClaimed);
  // Only the last of its poppers unlinks the block, and this one has not been
  // counted.
  Block* block = FindBlock(head / kBlockEntries);
  TRICOLOR_CHECK(block != nullptr,
                 "span set %p: entry %u claimed, its block is not linked "
                 "[INV-MHEAP-SPANSET-2]",
                 static_cast<void*>(this), head);
  Atomic<MSpan*>& entry = block->entries[head % kBlockEntries];
  // Acquire, pairs with the release in Push. The pusher may still be between
  // its two steps (interleaving 3).
  MSpan* span = entry.LoadAcquire();
  for (uint32_t attempt = 0; span == nullptr; span = entry.LoadAcquire()) {
    Traits::Wait(attempt++);
  }
  // Relaxed: reaches the next user of the block by way of the count below.
  entry.StoreRelaxed(nullptr);
  Traits::AtStep(SpanSetStep::kPopTaken);
  CountPopped(head / kBlockEntries, block);
  return span;
}

template <typename Traits>
void BasicSpanSet<Traits>::CountPopped(uint32_t k, Block* block) {
  // Release: the cleared entry. Acquire, by the last popper: those of all
  // others, before the block goes back to the pool.
  if (block->popped.FetchAddAcqRel(1) + 1 < kBlockEntries) return;
  Traits::AtStep(SpanSetStep::kPopLast);
  // Every entry has been popped, so none can be claimed any more, and no
  // thread will touch the block: a pusher that found it earlier fails to claim
  // (interleaving 1). Release, pairs with the acquire in FindBlock.
  FindLink(k)->StoreRelease(nullptr);
  pool_.Free(block);
}

template <typename Traits>
uint32_t BasicSpanSet<Traits>::Size() const {
  const uint64_t index = head_tail_.LoadRelaxed();
  return TailOf(index) - HeadOf(index);
}

template <typename Traits>
void BasicSpanSet<Traits>::Reset() {
  MutexLock lock(spine_mutex_);
  const uint64_t index = head_tail_.LoadAcquire();
  const uint32_t tail = TailOf(index);
  TRICOLOR_CHECK(HeadOf(index) == tail,
                 "span set %p reset with head %u and tail %u, expected empty",
                 static_cast<void*>(this), HeadOf(index), tail);
  const uint32_t k = tail / kBlockEntries;
  // A block is linked only by a pusher that goes on to push, so that the block
  // of the next index is linked just when it has been used in part. What its
  // last user would have done, Reset does.
  if (tail % kBlockEntries != 0) {
    Block* block = FindBlock(k);
    const uint32_t popped = block == nullptr ? 0 : block->popped.LoadAcquire();
    TRICOLOR_CHECK(popped == tail % kBlockEntries,
                   "span set %p reset while in use: last block %p counts %u "
                   "popped, expected %u",
                   static_cast<void*>(this), static_cast<void*>(block), popped,
                   tail % kBlockEntries);
    FindLink(k)->StoreRelaxed(nullptr);
    pool_.Free(block);
  }
  linked_ = 0;
  head_tail_.StoreRelease(0);
}

// ---- Checks.

template <typename Traits>
void BasicSpanSet<Traits>::CheckBlock(uint32_t k, uint32_t head,
                                      uint32_t tail) const {
  Block* block = FindBlock(k);
  const uint64_t first = uint64_t{k} * kBlockEntries;
  if (first + kBlockEntries <= head) {
    TRICOLOR_CHECK(block == nullptr,
                   "span set %p: block %u at %p is linked, all popped "
                   "[INV-MHEAP-SPANSET-2]",
                   static_cast<const void*>(this), k,
                   static_cast<void*>(block));
    return;
  }
  TRICOLOR_CHECK(block != nullptr,
                 "span set %p: block %u is not linked [INV-MHEAP-SPANSET-2]",
                 static_cast<const void*>(this), k);
  const uint64_t popped = head > first ? head - first : 0;
  TRICOLOR_CHECK(block->popped.LoadRelaxed() == popped,
                 "span set %p: block %u counts %u popped, expected %u",
                 static_cast<const void*>(this), k, block->popped.LoadRelaxed(),
                 static_cast<unsigned>(popped));
  for (uint32_t i = 0; i < kBlockEntries; ++i) {
    const bool full = first + i >= head && first + i < tail;
    TRICOLOR_CHECK((block->entries[i].LoadRelaxed() != nullptr) == full,
                   "span set %p: entry %llu is %p with head %u, tail %u "
                   "[INV-MHEAP-SPANSET-1]",
                   static_cast<const void*>(this),
                   static_cast<unsigned long long>(first + i),
                   static_cast<void*>(block->entries[i].LoadRelaxed()), head,
                   tail);
  }
}

template <typename Traits>
void BasicSpanSet<Traits>::CheckInvariants() {
  MutexLock lock(spine_mutex_);
  const uint64_t index = head_tail_.LoadAcquire();
  const uint32_t head = HeadOf(index);
  const uint32_t tail = TailOf(index);
  TRICOLOR_CHECK(head <= tail,
                 "span set %p: head %u is beyond tail %u "
                 "[INV-MHEAP-SPANSET-3]",
                 static_cast<void*>(this), head, tail);
  const uint64_t used = (uint64_t{tail} + kBlockEntries - 1) / kBlockEntries;
  TRICOLOR_CHECK(linked_ == used,
                 "span set %p: %u blocks linked, tail %u needs %llu "
                 "[INV-MHEAP-SPANSET-2]",
                 static_cast<void*>(this), linked_, tail,
                 static_cast<unsigned long long>(used));
  for (uint32_t k = 0; k < linked_; ++k) CheckBlock(k, head, tail);
}

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPAN_SET_INL_H_
