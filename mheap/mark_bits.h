// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Mark-bit arenas: where the mark and allocation bitmaps of spans live, one
// bit an object. Bitmaps are never freed one by one. Each belongs to an epoch,
// and whole 64 KiB arenas are recycled when their epoch is two cycles old:
// next (handed out now, for new spans and for swept ones from an arena each),
// current (the marks of the present cycle), previous (allocation bits), free.
// Threads cut from 2 KiB of their own, by their shards, so that they neither
// wait for each other nor write to one cache line.
//
// INV-MHEAP-MARKBITS: when the epochs rotate, every span in use has been
// swept since the last rotation, so that no span still uses `previous`.
// INV-MHEAP-MARKRESERVE: what is reserved suffices for new bitmaps of all spans
// that the present cycle has yet to sweep, so that sweeping cannot fail.
//
// Go counterpart: gcBits, gcBitsArena in mheap.go. New*: lock-free but for
// taking a new chunk of 2 KiB. Rotate, IsLive, Check*: world stopped only.

#ifndef TRICOLOR_MHEAP_MARK_BITS_H_
#define TRICOLOR_MHEAP_MARK_BITS_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/shards.h"

namespace tricolor::mheap {

// A bitmap's words; bit i % 64 of word i / 64 belongs to object i.
using MarkWord = Atomic<uint64_t>;

class MarkBitArenas {
 public:
  static constexpr ByteCount kArenaSize{64 << 10};
  // What an arena holds besides its header.
  static constexpr uint64_t kArenaWords =
      (kArenaSize.value() - 64) / sizeof(MarkWord);
  // What a shard takes from an arena at once. The header is in the first.
  static constexpr ByteCount kChunkSize{2 << 10};
  static constexpr uint64_t kChunkWords = kChunkSize.value() / sizeof(MarkWord);
  static constexpr uint64_t kChunks = kArenaSize / kChunkSize;
  // The most objects that one bitmap can be for.
  static constexpr uint32_t kMaxObjects = 1024;
  // What the end of a chunk may leave unused, when a bitmap does not fit.
  static constexpr uint64_t kMaxRest = kMaxObjects / 64 - 1;
  // What chunks and arenas surely hold of bitmaps that come in any order.
  static constexpr uint64_t kSureChunkWords = kChunkWords - kMaxRest;
  static constexpr uint64_t kSureWords = kArenaWords - kChunks * kMaxRest;

  // `memory` outlives the arenas.
  explicit MarkBitArenas(PersistentAlloc& memory) : memory_(memory) {}
  MarkBitArenas(const MarkBitArenas&) = delete;
  MarkBitArenas& operator=(const MarkBitArenas&) = delete;

  // Zeroed words for `objects` bits (1 to kMaxObjects), rounded up to whole
  // words, to be the mark bits of a new span of the shard. Null when the OS has
  // no more memory, or none for the span's sweep in a cycle that marks already;
  // nothing is changed then.
  [[nodiscard]] MarkWord* NewMarkBits(uint32_t objects, uint32_t shard = 0) {
    return Allocate(for_new_spans_, shard, objects);
  }
  // The same for a span that has just been swept. Never null for a span that
  // was in use when the epochs rotated or made since then.
  [[nodiscard]] MarkWord* NewSweptBits(uint32_t objects, uint32_t shard = 0) {
    return Allocate(for_swept_spans_, shard, objects);
  }

  // Counts the rotations.
  uint32_t epoch() const { return epoch_.LoadRelaxed(); }

  // Makes sure that there are arenas enough to sweep all spans in a cycle that
  // would begin now. False when the OS refuses them.
  [[nodiscard]] bool Reserve();
  // Once a cycle, when every span has been swept and before marking starts:
  // reserves, and rotates the epochs. False when the OS refuses; then nothing
  // is changed, and the cycle must not begin. Takes constant time when Reserve
  // was called before. Go: nextMarkBitArenaEpoch.
  [[nodiscard]] bool Rotate();
  // Marking is done: spans made from now on are not swept in this cycle.
  void MarkingDone();

  // Whether `bits` has been handed out from an arena that is not free.
  bool IsLive(const MarkWord* bits) const;
  // Arenas obtained from memory so far, free ones included.
  uint64_t arenas() const { return arenas_.LoadRelaxed(); }
  ByteCount bytes() const { return kArenaSize * arenas(); }
  // Arenas that only swept spans get.
  uint64_t reserved() const;
  // Fatal when an arena is not on just one list, or a shard cuts from something
  // else than its source's arenas (INV-MHEAP-MARKARENAS).
  void CheckInvariants() const;
  // Fatal unless the reserve holds the bitmaps that the present cycle's sweep
  // may still ask for (INV-MHEAP-MARKRESERVE): those of all spans while it
  // marks, and of the unswept ones afterwards.
  struct Unswept {
    uint64_t words = 0;      // of the bitmaps of unswept spans
    uint64_t all_words = 0;  // of those of all spans
  };
  void CheckReserve(const Unswept& unswept) const;

 private:
  struct Arena;

  // Where bitmaps are cut from, all of the epoch next.
  struct Source {
    // Where a shard's next bitmap begins: the rest of the chunk is the shard's.
    // Nothing is left when it is null or at a chunk's end.
    struct alignas(2 * ABSL_CACHELINE_SIZE) Place {
      Atomic<MarkWord*> next;
    };
    Place places[kShards];
    Arena* arena = nullptr;  // that chunks are taken from; under the lock

    void Reset();
  };

  struct List {
    Arena* first = nullptr;
    Arena* last = nullptr;  // meaningful unless the list is empty
    uint64_t count = 0;

    void Push(Arena* arena);
    Arena* Pop();  // of a list that is not empty
    void TakeAll(List& other);
  };

  // What the present cycle is about, as far as the reserve is concerned.
  enum class Phase : uint8_t {
    kNone,      // there is none that has rotated
    kMarking,   // since the rotation; new spans will be swept, too
    kSweeping,  // since MarkingDone
  };

  // That surely hold bitmaps of so many words. A chunk that a shard has begun
  // may be of no use to the others.
  static uint64_t ArenasFor(uint64_t words);
  // Words from `next` to the end of its chunk.
  static uint64_t WordsLeft(const MarkWord* next);
  static MarkWord* Zeroed(MarkWord* bits, uint64_t words);
  // Null when the chunk does not hold so many.
  static MarkWord* Cut(Source::Place& place, uint64_t words);

  MarkWord* Allocate(Source& source, uint32_t shard, uint32_t objects);
  MarkWord* AllocateSlow(Source& source, Source::Place& place, uint64_t words)
      ABSL_LOCKS_EXCLUDED(mutex_);
  MarkWord* TakeChunk(Source& source) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Arena* TakeForNewSpans() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Arena* TakeForSweptSpans() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Arena* TakeFree() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Arena* MakeArena() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes arenas until there are `count` free ones.
  [[nodiscard]] bool EnsureFree(uint64_t count)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool ReserveFor(uint64_t words)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // At least the words that all spans in use have had since the last rotation.
  uint64_t WordsOfSpans() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Words of the source's arena that no shard has.
  static uint64_t WordsLeft(const Source& source);
  void CheckPlace(const Source::Place& place) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  PersistentAlloc& memory_;
  mutable Mutex mutex_{LockRank::kMarkBitArenas};
  // Changed with the world stopped, so relaxed.
  Atomic<uint32_t> epoch_{1};
  // New spans must not use up what sweeping needs.
  Source for_new_spans_;
  Source for_swept_spans_;
  List next_ ABSL_GUARDED_BY(mutex_);
  List current_ ABSL_GUARDED_BY(mutex_);
  List previous_ ABSL_GUARDED_BY(mutex_);
  List free_ ABSL_GUARDED_BY(mutex_);
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kNone;
  // The most words that the present cycle's sweep can ask for in all.
  uint64_t sweep_words_ ABSL_GUARDED_BY(mutex_) = 0;
  // How many of the free arenas are for that.
  uint64_t reserved_ ABSL_GUARDED_BY(mutex_) = 0;
  Atomic<uint64_t> arenas_;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_MARK_BITS_H_
