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
  Arena* next = nullptr;   // on its list
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

// ---- Lists.

void MarkBitArenas::List::Push(Arena* arena) {
  if (first == nullptr) last = arena;
  arena->next = first;
  first = arena;
  ++count;
}

MarkBitArenas::Arena* MarkBitArenas::List::Pop() {
  Arena* arena = first;
  first = arena->next;
  --count;
  return arena;
}

void MarkBitArenas::List::TakeAll(List& other) {
  if (other.first == nullptr) return;
  other.last->next = first;
  if (first == nullptr) last = other.last;
  first = other.first;
  count += other.count;
  other = List();
}

// ---- Bitmaps.

MarkWord* MarkBitArenas::Allocate(Atomic<Arena*>& arena, uint32_t objects) {
  TRICOLOR_CHECK(objects >= 1 && objects <= kMaxObjects,
                 "bitmap for %u objects, expected 1 to %u", objects,
                 kMaxObjects);
  const uint64_t words = DivideRoundUp(objects, 64);
  // Acquire, pairs with the release in AllocateSlow: the words are zero.
  Arena* present = arena.LoadAcquire();
  if (present != nullptr) {
    if (MarkWord* bits = present->TryAllocate(words)) return bits;
  }
  return AllocateSlow(arena, words);
}

MarkWord* MarkBitArenas::AllocateSlow(Atomic<Arena*>& arena, uint64_t words) {
  MutexLock lock(mutex_);
  Arena* present = arena.LoadRelaxed();  // written under the lock
  // Another thread may have put a new arena there in the meantime.
  if (present != nullptr) {
    if (MarkWord* bits = present->TryAllocate(words)) return bits;
  }
  Arena* fresh =
      &arena == &for_new_spans_ ? TakeForNewSpans() : TakeForSweptSpans();
  if (fresh == nullptr) return nullptr;
  MarkWord* bits = fresh->TryAllocate(words);
  next_.Push(fresh);
  // Release, pairs with the acquire in Allocate.
  arena.StoreRelease(fresh);
  return bits;
}

// While a cycle marks, what is cut from the new arena is needed once more, when
// those spans are swept.
MarkBitArenas::Arena* MarkBitArenas::TakeForNewSpans() {
  if (phase_ == Phase::kMarking) {
    const uint64_t words = sweep_words_ + kArenaWords;
    const uint64_t more = ArenasFor(words) - ArenasFor(sweep_words_);
    if (!EnsureFree(reserved_ + more + 1)) return nullptr;
    sweep_words_ = words;
    reserved_ += more;
  } else if (!EnsureFree(reserved_ + 1)) {
    return nullptr;
  }
  return TakeFree();
}

// Without a reserve, as in tests that sweep outside of cycles, this may fail.
MarkBitArenas::Arena* MarkBitArenas::TakeForSweptSpans() {
  if (!EnsureFree(1)) return nullptr;
  if (reserved_ > 0) --reserved_;
  return TakeFree();
}

// Clearing an arena here and not in Rotate keeps the pause short. Threads that
// have room in theirs take no lock, and so do not wait for it.
MarkBitArenas::Arena* MarkBitArenas::TakeFree() {
  Arena* arena = free_.Pop();
  arena->Clear();
  return arena;
}

bool MarkBitArenas::EnsureFree(uint64_t count) {
  while (free_.count < count) {
    Arena* arena = MakeArena();
    if (arena == nullptr) return false;
    free_.Push(arena);
  }
  return true;
}

MarkBitArenas::Arena* MarkBitArenas::MakeArena() {
  static_assert(sizeof(Arena) == kArenaSize.value());
  void* memory = memory_.Allocate(kArenaSize, alignof(Arena));
  if (memory == nullptr) return nullptr;
  arenas_.AddOwned(1);  // under the lock
  // The words are zero already; to construct them would touch every page.
  return static_cast<Arena*>(memory);
}

// ---- Epochs.

// Each span in use has a bitmap of the epoch next (INV-MHEAP-MARKBITS), so the
// words that were cut from its arenas are no fewer than theirs. Only the two
// that are cut from are known not to be full: another thread may still cut a
// bitmap from one that it found here before.
uint64_t MarkBitArenas::WordsOfSpans() const {
  uint64_t words = next_.count * kArenaWords;
  for (const Atomic<Arena*>* arena : {&for_new_spans_, &for_swept_spans_}) {
    const Arena* present = arena->LoadRelaxed();
    if (present != nullptr) words -= kArenaWords - present->taken.LoadRelaxed();
  }
  return words;
}

bool MarkBitArenas::Reserve() {
  MutexLock lock(mutex_);
  return ReserveFor(WordsOfSpans());
}

// The rotation sets the previous epoch's arenas free, which in a heap of steady
// size are enough.
bool MarkBitArenas::ReserveFor(uint64_t words) {
  const uint64_t needed = ArenasFor(words);
  return needed <= previous_.count || EnsureFree(needed - previous_.count);
}

bool MarkBitArenas::Rotate() {
  MutexLock lock(mutex_);
  const uint64_t words = WordsOfSpans();
  if (!ReserveFor(words)) return false;
  sweep_words_ = words;
  reserved_ = ArenasFor(words);
  free_.TakeAll(previous_);
  previous_ = current_;
  current_ = next_;
  next_ = List();
  for_new_spans_.StoreRelaxed(nullptr);
  for_swept_spans_.StoreRelaxed(nullptr);
  epoch_.AddOwned(1);
  phase_ = Phase::kMarking;
  return true;
}

void MarkBitArenas::MarkingDone() {
  MutexLock lock(mutex_);
  phase_ = phase_ == Phase::kMarking ? Phase::kSweeping : Phase::kNone;
}

// ---- Checks.

uint64_t MarkBitArenas::reserved() const {
  MutexLock lock(mutex_);
  return reserved_;
}

bool MarkBitArenas::IsLive(const MarkWord* bits) const {
  MutexLock lock(mutex_);
  for (const List* list : {&next_, &current_, &previous_}) {
    for (const Arena* a = list->first; a != nullptr; a = a->next) {
      if (a->HasHandedOut(bits)) return true;
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
  uint64_t counted = 0;
  for (const List* list : {&next_, &current_, &previous_, &free_}) {
    counted += list->count;
    // A ring ends the walk with too many.
    for (const Arena* a = list->first; a != nullptr && found <= counted;
         a = a->next) {
      ++found;
      // A free arena is cleared when it is taken again.
      a->CheckInvariants();
    }
  }
  TRICOLOR_CHECK(found == arenas() && found == counted,
                 "mark-bit arenas %p: %llu%s on the lists, which count %llu, "
                 "%llu obtained [INV-MHEAP-MARKARENAS]",
                 static_cast<const void*>(this),
                 static_cast<unsigned long long>(found),
                 found > counted ? " or more" : "",
                 static_cast<unsigned long long>(counted),
                 static_cast<unsigned long long>(arenas()));
  TRICOLOR_CHECK(reserved_ <= free_.count,
                 "mark-bit arenas %p: %llu reserved of %llu free "
                 "[INV-MHEAP-MARKRESERVE]",
                 static_cast<const void*>(this),
                 static_cast<unsigned long long>(reserved_),
                 static_cast<unsigned long long>(free_.count));
}

// The words that `present` has left, if the last of them cannot be had.
void MarkBitArenas::CheckReserve(const Unswept& unswept) const {
  MutexLock lock(mutex_);
  if (phase_ == Phase::kNone) return;
  const uint64_t needed =
      phase_ == Phase::kMarking ? unswept.all_words : unswept.words;
  const Arena* present = for_swept_spans_.LoadRelaxed();
  const uint64_t taken =
      present == nullptr ? kArenaWords : present->taken.LoadRelaxed();
  const uint64_t sure =
      reserved_ * kSureWords + (taken < kSureWords ? kSureWords - taken : 0);
  TRICOLOR_CHECK(needed <= sure,
                 "mark-bit arenas %p: %llu words are needed to sweep, and %llu "
                 "reserved [INV-MHEAP-MARKRESERVE]",
                 static_cast<const void*>(this),
                 static_cast<unsigned long long>(needed),
                 static_cast<unsigned long long>(sure));
}

}  // namespace tricolor::mheap
