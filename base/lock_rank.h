// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The ranks of all locks of the heap, outermost first. A thread may only take
// a lock whose rank is greater than that of every lock it holds; Mutex checks
// that at run time in debug builds. Go counterpart: lockrank.go.

#ifndef TRICOLOR_BASE_LOCK_RANK_H_
#define TRICOLOR_BASE_LOCK_RANK_H_

#include <cstdint>

namespace tricolor {

enum class LockRank : uint8_t {
  // runtime
  kRegistry,      // the process's heaps
  kCycle,         // one collection cycle at a time
  kWorld,         // stop and start of the world, the list of mutators
  kRoots,         // registered roots and global ranges
  kBackground,    // sleep and wake of background threads
  kCleanupQueue,  // cleanups that are ready to run
  kPacer,         // the heap's goal, the bucket of the CPU limiter
  // sweep, mcentral, gc
  kSweep,
  kWorkBufSpans,
  kCentralLists,  // the making of central lists
  // mheap
  kSpanSpecials,   // the specials list of one span
  kSpanSetSpine,   // growth of a span set's spine
  kMarkBitArenas,  // the epochs of mark-bit arenas
  kHeap,           // the page heap. Nothing under it blocks or allocates.
  kHeapStats,      // reading of the page heap's statistics
  kSpecialAlloc,   // the allocator of special records
  // base
  kPersistentAlloc,
  kOsMemory,
  kLeaf,  // for tests and for users of single floors; nothing is taken under it
};

// The name without its k, for reports.
constexpr const char* LockRankName(LockRank rank) {
  switch (rank) {
    case LockRank::kRegistry:
      return "Registry";
    case LockRank::kCycle:
      return "Cycle";
    case LockRank::kWorld:
      return "World";
    case LockRank::kRoots:
      return "Roots";
    case LockRank::kBackground:
      return "Background";
    case LockRank::kCleanupQueue:
      return "CleanupQueue";
    case LockRank::kPacer:
      return "Pacer";
    case LockRank::kSweep:
      return "Sweep";
    case LockRank::kWorkBufSpans:
      return "WorkBufSpans";
    case LockRank::kCentralLists:
      return "CentralLists";
    case LockRank::kSpanSpecials:
      return "SpanSpecials";
    case LockRank::kSpanSetSpine:
      return "SpanSetSpine";
    case LockRank::kMarkBitArenas:
      return "MarkBitArenas";
    case LockRank::kHeap:
      return "Heap";
    case LockRank::kHeapStats:
      return "HeapStats";
    case LockRank::kSpecialAlloc:
      return "SpecialAlloc";
    case LockRank::kPersistentAlloc:
      return "PersistentAlloc";
    case LockRank::kOsMemory:
      return "OsMemory";
    case LockRank::kLeaf:
      return "Leaf";
  }
  return "unknown";
}

}  // namespace tricolor

#endif  // TRICOLOR_BASE_LOCK_RANK_H_
