// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Mark-bit arenas: where the mark and allocation bitmaps of spans live, one
// bit an object. Bitmaps are never freed one by one. Each belongs to an epoch,
// and whole 64 KiB arenas are recycled when their epoch is two cycles old:
//
//   next      being handed out: mark bits for the coming cycle
//   current   the mark bits of the cycle that has ended (or is running)
//   previous  now the allocation bits of swept spans
//   free      arenas to reuse
//
// INV-MHEAP-MARKBITS: when the epochs rotate, every span in use has been
// swept since the last rotation, so that no span still uses `previous`.
//
// Go counterpart: gcBits, gcBitsArena in mheap.go. New*: lock-free but for
// taking a new arena. Rotate, IsLive, CheckInvariants: world stopped only.

#ifndef TRICOLOR_MHEAP_MARK_BITS_H_
#define TRICOLOR_MHEAP_MARK_BITS_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/units.h"

namespace tricolor::mheap {

// A bitmap's words; bit i % 64 of word i / 64 belongs to object i.
using MarkWord = Atomic<uint64_t>;

class MarkBitArenas {
 public:
  static constexpr ByteCount kArenaSize{64 << 10};
  // What an arena holds besides its header.
  static constexpr uint64_t kArenaWords =
      (kArenaSize.value() - 64) / sizeof(MarkWord);
  // The most objects that one bitmap can be for.
  static constexpr uint32_t kMaxObjects = kArenaWords * 64;

  // `memory` outlives the arenas.
  explicit MarkBitArenas(PersistentAlloc& memory) : memory_(memory) {}
  MarkBitArenas(const MarkBitArenas&) = delete;
  MarkBitArenas& operator=(const MarkBitArenas&) = delete;

  // Zeroed words for `objects` bits (1 to kMaxObjects), rounded up to whole
  // words, to be the mark bits of the coming cycle. Null when the OS has no
  // more memory; nothing is changed then.
  [[nodiscard]] MarkWord* NewMarkBits(uint32_t objects);
  // The same, to be the allocation bits of a new span. Zeroed: all free.
  [[nodiscard]] MarkWord* NewAllocBits(uint32_t objects) {
    return NewMarkBits(objects);
  }

  // Once a cycle, when every span has been swept and before marking starts.
  // Takes constant time. Go: nextMarkBitArenaEpoch.
  void Rotate();

  // Whether `bits` has been handed out from an arena that is not free.
  bool IsLive(const MarkWord* bits) const;
  // Arenas obtained from memory so far, free ones included.
  uint64_t arenas() const { return arenas_.LoadRelaxed(); }
  // Fatal when an arena is not on just one list (INV-MHEAP-MARKARENAS), or not
  // clean beyond what it has handed out.
  void CheckInvariants() const;

 private:
  friend class MarkBitArenasTestPeer;

  struct Arena;

  // Arenas linked from the newest to the oldest.
  struct List {
    Arena* newest = nullptr;
    Arena* oldest = nullptr;  // meaningful unless the list is empty
  };

  MarkWord* AllocateSlow(uint64_t words) ABSL_LOCKS_EXCLUDED(mutex_);
  Arena* TakeArena() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  PersistentAlloc& memory_;
  mutable Mutex mutex_{LockRank::kMarkBitArenas};
  // The arena that bitmaps are cut from, newest of its epoch. Written under the
  // lock.
  Atomic<Arena*> next_;
  Arena* next_oldest_ ABSL_GUARDED_BY(mutex_) = nullptr;
  List current_ ABSL_GUARDED_BY(mutex_);
  List previous_ ABSL_GUARDED_BY(mutex_);
  Arena* free_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Atomic<uint64_t> arenas_;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_MARK_BITS_H_
