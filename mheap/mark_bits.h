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
// Go counterpart: gcBits, gcBitsArena in mheap.go. New and NewZeroed are
// lock-free but for taking a new arena; Rotate: world stopped only.

#ifndef TRICOLOR_MHEAP_MARK_BITS_H_
#define TRICOLOR_MHEAP_MARK_BITS_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/persistent_alloc.h"

namespace tricolor::mheap {

// A bitmap's words; bit i of word i / 64 belongs to object i.
using MarkWord = Atomic<uint64_t>;

class MarkBitArenas {
 public:
  static constexpr ByteCount kArenaSize{64 << 10};

  explicit MarkBitArenas(PersistentAlloc& memory) : memory_(memory) {}
  MarkBitArenas(const MarkBitArenas&) = delete;
  MarkBitArenas& operator=(const MarkBitArenas&) = delete;

  // Zeroed words for `objects` bits, rounded up to whole words, to be the mark
  // bits of the coming cycle. Null when the OS has no more memory.
  [[nodiscard]] MarkWord* NewMarkBits(uint32_t objects);
  // The same, to be the allocation bits of a new span. Zeroed: all free.
  [[nodiscard]] MarkWord* NewAllocBits(uint32_t objects);

  // Once a cycle, when every span has been swept and before marking starts.
  // Go: nextMarkBitArenaEpoch.
  void Rotate();

  // World stopped only: whether `bits` lies in an arena that is not free.
  bool IsLive(const MarkWord* bits) const;

 private:
  struct Arena;

  MarkWord* AllocateSlow(uint64_t bytes);
  Arena* TakeArena() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  PersistentAlloc& memory_;
  mutable Mutex mutex_{LockRank::kMarkBitArenas};
  Atomic<Arena*> next_;  // read without the lock; its older arenas are linked
  Arena* current_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Arena* previous_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Arena* free_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_MARK_BITS_H_
