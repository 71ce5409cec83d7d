// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// RootTable: the slots of a heap's Root handles. A slot is one word, in a block
// of 4 KiB that says whose it is; a free slot holds a link to the next one,
// told from a pointer by its top bit, so that the marker reads every word of a
// block and needs no other knowledge. Blocks are not given back.
//
// A thread whose mutator is managed takes, sets and frees slots with no lock,
// from a list of its own (RootSlotCache), and its own write barrier. Every
// other thread holds the table's mutex for it, and records in the table's
// buffer: a Root that is copied and then cleared in the middle of marking could
// otherwise hide its object (the copy in a block that has been read, the
// original cleared before it is).
//
// Go counterpart: none; a Root is a goroutine's stack slot or a global.
// INV-RUNTIME-3: every slot is on exactly one free list, or some Root's.

#ifndef TRICOLOR_RUNTIME_ROOT_TABLE_H_
#define TRICOLOR_RUNTIME_ROOT_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/gc/grey_buffer.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::runtime {

class RootTable;
class World;
struct MutatorContext;

// A word that keeps the object alive that it points into.
using RootSlot = Atomic<uint64_t>;

// A mutator's own free slots.
struct RootSlotCache {
  RootSlot* first = nullptr;
  size_t count = 0;
};

struct alignas(4096) RootBlock {
  static constexpr size_t kSlots = 510;

  RootTable* table = nullptr;
  RootBlock* next = nullptr;  // the table's list, constant once published
  RootSlot slots[kSlots];

  // The block that `slot` lies in.
  static RootBlock& Of(const RootSlot* slot) {
    return *reinterpret_cast<RootBlock*>(reinterpret_cast<uintptr_t>(slot) &
                                         ~(sizeof(RootBlock) - 1));
  }
};
static_assert(sizeof(RootBlock) == 4096);

class RootTable {
 public:
  RootTable(mheap::MHeap& heap, gc::Marker& marker, World& world)
      : heap_(heap), world_(world), grey_(marker) {}
  RootTable(const RootTable&) = delete;
  RootTable& operator=(const RootTable&) = delete;

  // A slot that holds `p`, which points into this heap. Null when there is no
  // memory for a block; then nothing is changed.
  RootSlot* TryNewSlot(const void* p);
  // Throws std::bad_alloc instead.
  RootSlot* NewSlot(const void* p);
  void Set(RootSlot* slot, const void* p);
  void Free(RootSlot* slot);
  bool Contains(const void* p) const { return heap_.Contains(Addr(p)); }

  // A cycle that marks now keeps the object that `p` points into. By any
  // thread.
  void Shade(const void* p);

  // Takes all of a detaching mutator's slots.
  void Absorb(RootSlotCache& cache);

  // Around the marking of a cycle, world stopped. From the last PublishGrey to
  // EndMarking the mutex is held: threads that are not managed run on, and what
  // they recorded in between would be lost.
  void BeginMarking();
  void EndMarking() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Publishes what threads that are not managed have recorded.
  void PublishGrey() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Adds each aligned word of a range that is a root.
  size_t ShadeRootRange(AddrRange range) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }
  // The newest block, from which all are linked; for marking.
  RootBlock* blocks() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return blocks_;
  }
  size_t block_count() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return block_count_;
  }
  // What a slot holds; null for a free one. Acquire, pairs with the release of
  // whoever stored it.
  static Addr Get(const RootSlot& slot) {
    const uint64_t word = slot.LoadAcquire();
    return (word & kFreeBit) != 0 ? Addr() : Addr(word);
  }
  // Calls visit(pointer) for each slot of a block that holds one.
  template <typename Visit>
  static void ForEachPointer(const RootBlock& block, const Visit& visit) {
    for (const RootSlot& slot : block.slots) {
      const Addr target = Get(slot);
      if (!target.is_null()) visit(target.pointer());
    }
  }

  // Slots that hold a pointer. World stopped, or nobody else uses roots.
  size_t CountUsed();
  // World stopped: fatal when INV-RUNTIME-3 is broken; `cached` slots are in
  // the mutators' own lists.
  void CheckInvariants(size_t cached);

 private:
  size_t CountUsedLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // A mutator's list longer than this gives half of it back.
  static constexpr size_t kMostCached = 2 * RootBlock::kSlots;
  static constexpr uint64_t kFreeBit = uint64_t{1} << 63;

  static RootSlot* Pop(RootSlotCache& list);
  static void Push(RootSlotCache& list, RootSlot* slot);
  // Moves up to a block's worth of slots.
  static void Move(RootSlotCache& from, RootSlotCache& to, size_t count);
  // Makes a block when there is no free slot; false when it cannot.
  bool Reserve() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The calling thread's mutator, if that is managed.
  MutatorContext* Managed() const;
  // The barrier: `slot` is about to hold `p`, or a link of the free list
  // (null).
  static void Record(MutatorContext& own, const RootSlot& slot, const void* p);
  void RecordLocked(const RootSlot& slot, const void* p)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mheap::MHeap& heap_;
  World& world_;
  Mutex mutex_{LockRank::kRoots};
  RootSlotCache free_ ABSL_GUARDED_BY(mutex_);
  RootBlock* blocks_ ABSL_GUARDED_BY(mutex_) = nullptr;
  size_t block_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool marking_ ABSL_GUARDED_BY(mutex_) = false;
  gc::GreyBuffer grey_ ABSL_GUARDED_BY(mutex_);
};

// For Root<T>. Makes *slot hold `p`: null for the null pointer, otherwise a
// slot of the heap that `p` points into (fatal when there is none). Throws
// std::bad_alloc when there is no memory for it; *slot is then what it was.
void AssignRoot(RootSlot** slot, const void* p);
// The same for an empty Root whose heap is known.
RootSlot* NewRootIn(RootTable& table, const void* p);
// Null, too, when there is no memory for it.
RootSlot* TryNewRootIn(RootTable& table, const void* p);
// Of a slot or null.
void FreeRoot(RootSlot* slot);

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_ROOT_TABLE_H_
