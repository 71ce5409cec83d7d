// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/mark_bits.h"

#include <cstdint>
#include <new>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"

namespace tricolor::mheap {

// Words are handed out from the front. Those behind are zero.
struct alignas(64) MarkBitArenas::Arena {
  Arena* older = nullptr;  // the next one on its list
  Atomic<uint64_t> taken;  // words handed out
  alignas(64) MarkWord words[kArenaWords];

  // Null when the rest is too short. Relaxed: the counter alone decides who
  // has which words, and they have been zero since before the arena became
  // visible.
  MarkWord* TryAllocate(uint64_t count) {
    uint64_t first = taken.LoadRelaxed();
    do {
      if (first + count > kArenaWords) return nullptr;
    } while (!taken.CompareExchangeRelaxed(first, first + count));
    return words + first;
  }

  void Clear() {
    const uint64_t dirty = taken.LoadRelaxed();
    for (uint64_t i = 0; i < dirty; ++i) words[i].StoreRelaxed(0);
    taken.StoreRelaxed(0);
  }

  void CheckInvariants() const;

  bool HasHandedOut(const MarkWord* bits) const {
    const uintptr_t address = reinterpret_cast<uintptr_t>(bits);
    const uintptr_t first = reinterpret_cast<uintptr_t>(words);
    return address >= first &&
           address < first + taken.LoadRelaxed() * sizeof(MarkWord);
  }
};

MarkWord* MarkBitArenas::NewMarkBits(uint32_t objects) {
  TRICOLOR_CHECK(objects >= 1 && objects <= kMaxObjects,
                 "bitmap for %u objects, expected 1 to %u", objects,
                 kMaxObjects);
  const uint64_t words = DivideRoundUp(objects, 64);
  // Acquire, pairs with the release in AllocateSlow: the words are zero.
  Arena* arena = next_.LoadAcquire();
  if (arena != nullptr) {
    if (MarkWord* bits = arena->TryAllocate(words)) return bits;
  }
  return AllocateSlow(words);
}

MarkWord* MarkBitArenas::AllocateSlow(uint64_t words) {
  MutexLock lock(mutex_);
  Arena* arena = next_.LoadRelaxed();  // written under the lock
  // Another thread may have put a new arena there in the meantime.
  if (arena != nullptr) {
    if (MarkWord* bits = arena->TryAllocate(words)) return bits;
  }
  Arena* fresh = TakeArena();
  if (fresh == nullptr) return nullptr;
  MarkWord* bits = fresh->TryAllocate(words);
  fresh->older = arena;
  if (arena == nullptr) next_oldest_ = fresh;
  // Release, pairs with the acquire in NewMarkBits.
  next_.StoreRelease(fresh);
  return bits;
}

// An arena that has handed out nothing. Clearing it here and not in Rotate
// keeps the pause short. Threads that wait for the lock meanwhile need this
// arena too.
MarkBitArenas::Arena* MarkBitArenas::TakeArena() {
  if (free_ != nullptr) {
    Arena* arena = free_;
    free_ = arena->older;
    arena->Clear();
    return arena;
  }
  static_assert(sizeof(Arena) == kArenaSize.value());
  void* memory = memory_.Allocate(kArenaSize, alignof(Arena));
  if (memory == nullptr) return nullptr;
  arenas_.AddOwned(1);  // under the lock
  // The words are zero already; to construct them would touch every page.
  Arena* arena = static_cast<Arena*>(memory);
  arena->older = nullptr;
  return arena;
}

void MarkBitArenas::Rotate() {
  MutexLock lock(mutex_);
  if (previous_.newest != nullptr) {
    previous_.oldest->older = free_;
    free_ = previous_.newest;
  }
  previous_ = current_;
  current_ = {next_.LoadRelaxed(), next_oldest_};
  next_.StoreRelaxed(nullptr);
}

bool MarkBitArenas::IsLive(const MarkWord* bits) const {
  MutexLock lock(mutex_);
  for (const Arena* list :
       {next_.LoadRelaxed(), current_.newest, previous_.newest}) {
    for (; list != nullptr; list = list->older) {
      if (list->HasHandedOut(bits)) return true;
    }
  }
  return false;
}

void MarkBitArenas::Arena::CheckInvariants() const {
  for (uint64_t i = taken.LoadRelaxed(); i < kArenaWords; ++i) {
    TRICOLOR_CHECK(
        words[i].LoadRelaxed() == 0,
        "mark-bit arena %p: word %llu is %#llx, never handed out (of %llu), "
        "expected 0 [INV-MHEAP-MARKARENAS]",
        static_cast<const void*>(this), static_cast<unsigned long long>(i),
        static_cast<unsigned long long>(words[i].LoadRelaxed()),
        static_cast<unsigned long long>(taken.LoadRelaxed()));
  }
}

void MarkBitArenas::CheckInvariants() const {
  MutexLock lock(mutex_);
  uint64_t found = 0;
  for (const Arena* list :
       {next_.LoadRelaxed(), current_.newest, previous_.newest, free_}) {
    // A cycle ends the walk with too many.
    for (; list != nullptr && found <= arenas(); list = list->older) {
      ++found;
      // A free arena is cleared when it is taken again.
      list->CheckInvariants();
    }
  }
  TRICOLOR_CHECK(found == arenas(),
                 "mark-bit arenas %p: %llu%s on the lists, %llu obtained "
                 "[INV-MHEAP-MARKARENAS]",
                 static_cast<const void*>(this),
                 static_cast<unsigned long long>(found),
                 found > arenas() ? " or more" : "",
                 static_cast<unsigned long long>(arenas()));
}

}  // namespace tricolor::mheap
