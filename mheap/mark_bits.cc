// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/mark_bits.h"

#include <cstdint>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/base/saturating.h"

namespace tricolor::mheap {

struct alignas(MarkBitArenas::kChunkSize.value()) MarkBitArenas::Arena {
  Arena* next = nullptr;  // on its list
  uint64_t chunks = 0;    // that shards have taken; under the lock
  alignas(64) MarkWord words[kArenaWords];

  MarkWord* Chunk(uint64_t index) {
    return index == 0 ? words
                      : words + kArenaWords - (kChunks - index) * kChunkWords;
  }
  bool HasTaken(const MarkWord* bits) {
    return bits >= words && bits < Chunk(chunks);
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

uint64_t MarkBitArenas::ArenasFor(uint64_t words) {
  if (words == 0) return 0;
  return DivideRoundUp(words + kShards * kSureChunkWords, kSureWords);
}

uint64_t MarkBitArenas::WordsLeft(const MarkWord* next) {
  const uint64_t offset =
      reinterpret_cast<uintptr_t>(next) % kChunkSize.value();
  return offset == 0 ? 0 : (kChunkSize.value() - offset) / sizeof(MarkWord);
}

// The words are zeroed by who will use them next, and not with their arena:
// that would take longer than threads should wait for each other.
MarkWord* MarkBitArenas::Zeroed(MarkWord* bits, uint64_t words) {
  for (uint64_t i = 0; i < words; ++i) bits[i].StoreRelaxed(0);
  return bits;
}

// The pointer alone decides who has which words. It does not come back to a
// value before the next rotation.
MarkWord* MarkBitArenas::Cut(Source::Place& place, uint64_t words) {
  // Acquire, pairs with the release in AllocateSlow: the arena.
  MarkWord* bits = place.next.LoadAcquire();
  do {
    if (WordsLeft(bits) < words) return nullptr;
  } while (!place.next.CompareExchangeAcquire(bits, bits + words));
  return Zeroed(bits, words);
}

MarkWord* MarkBitArenas::Allocate(Source& source, uint32_t shard,
                                  uint32_t objects) {
  TRICOLOR_CHECK(objects >= 1 && objects <= kMaxObjects,
                 "bitmap for %u objects, expected 1 to %u", objects,
                 kMaxObjects);
  const uint64_t words = DivideRoundUp(objects, 64);
  Source::Place& place = source.places[shard];
  if (MarkWord* bits = Cut(place, words)) return bits;
  return AllocateSlow(source, place, words);
}

MarkWord* MarkBitArenas::AllocateSlow(Source& source, Source::Place& place,
                                      uint64_t words) {
  MutexLock lock(mutex_);
  // Another thread of the shard may have taken a chunk in the meantime.
  if (MarkWord* bits = Cut(place, words)) return bits;
  MarkWord* chunk = TakeChunk(source);
  if (chunk == nullptr) return nullptr;
  // What somebody cuts from the old chunk until now is theirs. Release, pairs
  // with the acquire in Cut.
  place.next.StoreRelease(chunk + words);
  return Zeroed(chunk, words);
}

MarkWord* MarkBitArenas::TakeChunk(Source& source) {
  if (source.arena == nullptr || source.arena->chunks == kChunks) {
    Arena* fresh =
        &source == &for_new_spans_ ? TakeForNewSpans() : TakeForSweptSpans();
    if (fresh == nullptr) return nullptr;
    next_.Push(fresh);
    source.arena = fresh;
  }
  return source.arena->Chunk(source.arena->chunks++);
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

MarkBitArenas::Arena* MarkBitArenas::TakeFree() {
  Arena* arena = free_.Pop();
  arena->chunks = 0;
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
  // To construct the words would touch every page.
  return static_cast<Arena*>(memory);
}

// ---- Epochs.

void MarkBitArenas::Source::Reset() {
  for (Place& place : places) place.next.StoreRelaxed(nullptr);
  arena = nullptr;
}

uint64_t MarkBitArenas::WordsLeft(const Source& source) {
  if (source.arena == nullptr) return 0;
  return kArenaWords -
         static_cast<uint64_t>(source.arena->Chunk(source.arena->chunks) -
                               source.arena->words);
}

// Each span in use has a bitmap of the epoch next (INV-MHEAP-MARKBITS), so the
// words that were cut from its arenas are no fewer than theirs. Before the
// world is stopped, threads go on cutting: then it is an estimate.
uint64_t MarkBitArenas::WordsOfSpans() const {
  uint64_t left = 0;
  for (const Source* source : {&for_new_spans_, &for_swept_spans_}) {
    left += WordsLeft(*source);
    for (const Source::Place& place : source->places) {
      left += WordsLeft(place.next.LoadRelaxed());
    }
  }
  return next_.count * kArenaWords - left;
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
  for_new_spans_.Reset();
  for_swept_spans_.Reset();
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
  for (const Source* source : {&for_new_spans_, &for_swept_spans_}) {
    for (const Source::Place& place : source->places) {
      const MarkWord* next = place.next.LoadRelaxed();
      if (bits >= next && bits < next + WordsLeft(next)) return false;
    }
  }
  for (const List* list : {&next_, &current_, &previous_}) {
    for (Arena* a = list->first; a != nullptr; a = a->next) {
      if (a->HasTaken(bits)) return true;
    }
  }
  return false;
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
  for (const Source* source : {&for_new_spans_, &for_swept_spans_}) {
    for (const Source::Place& place : source->places) CheckPlace(place);
  }
  TRICOLOR_CHECK(reserved_ <= free_.count,
                 "mark-bit arenas %p: %llu reserved of %llu free "
                 "[INV-MHEAP-MARKRESERVE]",
                 static_cast<const void*>(this),
                 static_cast<unsigned long long>(reserved_),
                 static_cast<unsigned long long>(free_.count));
}

// The words before the next bitmap are those of the last one.
void MarkBitArenas::CheckPlace(const Source::Place& place) const {
  const MarkWord* next = place.next.LoadRelaxed();
  if (next == nullptr) return;
  for (Arena* a = next_.first; a != nullptr; a = a->next) {
    if (a->HasTaken(next - 1)) return;
  }
  TRICOLOR_CHECK(false,
                 "mark-bit arenas %p: a shard cuts from %p, which is of no "
                 "arena of this epoch [INV-MHEAP-MARKARENAS]",
                 static_cast<const void*>(this),
                 static_cast<const void*>(next));
}

// Nothing is refused as long as the shards' begun chunks cannot have taken more
// than there is: each of them surely holds all but kMaxRest of its words.
void MarkBitArenas::CheckReserve(const Unswept& unswept) const {
  MutexLock lock(mutex_);
  if (phase_ == Phase::kNone) return;
  const uint64_t needed =
      phase_ == Phase::kMarking ? unswept.all_words : unswept.words;
  if (needed == 0) return;
  uint64_t sure = reserved_ * kSureWords;
  if (const Arena* arena = for_swept_spans_.arena; arena != nullptr) {
    sure += WordsLeft(for_swept_spans_) - (kChunks - arena->chunks) * kMaxRest;
  }
  for (const Source::Place& place : for_swept_spans_.places) {
    sure += SaturatingSub(WordsLeft(place.next.LoadRelaxed()), kMaxRest);
  }
  constexpr uint64_t kBegun = kShards * kSureChunkWords;
  TRICOLOR_CHECK(needed + kBegun <= sure,
                 "mark-bit arenas %p: %llu words are needed to sweep, and %llu "
                 "reserved [INV-MHEAP-MARKRESERVE]",
                 static_cast<const void*>(this),
                 static_cast<unsigned long long>(needed),
                 static_cast<unsigned long long>(SaturatingSub(sure, kBegun)));
}

}  // namespace tricolor::mheap
