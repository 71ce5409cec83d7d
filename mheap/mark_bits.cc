// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/mark_bits.h"

#include <cstring>

#include "tricolor/base/check.h"

namespace tricolor::mheap {

struct MarkBitArenas::Arena {
  static constexpr uint64_t kHeaderBytes = 64;
  static constexpr uint64_t kCapacity =
      MarkBitArenas::kArenaSize.value() - kHeaderBytes;

  // Bytes claimed; goes beyond the capacity when a claim has failed.
  Atomic<uint64_t> claimed;
  Arena* next = nullptr;  // in the list of its epoch; guarded by the mutex

  uint8_t* payload() {
    return reinterpret_cast<uint8_t*>(this) + kHeaderBytes;
  }

  // Null when too little is left.
  MarkWord* Claim(uint64_t bytes) {
    // Relaxed: the payload was zeroed before the arena was published, and
    // nobody else claims these bytes.
    const uint64_t offset = claimed.FetchAddRelaxed(bytes);
    if (offset + bytes > kCapacity) return nullptr;
    return reinterpret_cast<MarkWord*>(payload() + offset);
  }
  bool Contains(const MarkWord* bits) {
    const auto* p = reinterpret_cast<const uint8_t*>(bits);
    return p >= payload() && p < payload() + kCapacity;
  }
};

MarkWord* MarkBitArenas::NewMarkBits(uint32_t objects) {
  static_assert(sizeof(Arena) <= Arena::kHeaderBytes);
  const uint64_t bytes = (uint64_t{objects} + 63) / 64 * sizeof(MarkWord);
  TRICOLOR_DCHECK(objects > 0 && bytes <= Arena::kCapacity,
                  "mark bits asked for %u objects", objects);
  // Acquire: pairs with the release in AllocateSlow, for the zeroed payload.
  if (Arena* const arena = next_.LoadAcquire(); arena != nullptr) {
    if (MarkWord* const bits = arena->Claim(bytes); bits != nullptr) {
      return bits;
    }
  }
  return AllocateSlow(bytes);
}

MarkWord* MarkBitArenas::NewAllocBits(uint32_t objects) {
  return NewMarkBits(objects);
}

MarkWord* MarkBitArenas::AllocateSlow(uint64_t bytes) {
  const MutexLock lock(mutex_);
  // Another thread may have brought a new arena in the meantime.
  Arena* const full = next_.LoadRelaxed();
  if (full != nullptr) {
    if (MarkWord* const bits = full->Claim(bytes); bits != nullptr) {
      return bits;
    }
  }
  Arena* const arena = TakeArena();
  if (arena == nullptr) return nullptr;
  MarkWord* const bits = arena->Claim(bytes);
  arena->next = full;
  next_.StoreRelease(arena);
  return bits;
}

MarkBitArenas::Arena* MarkBitArenas::TakeArena() {
  if (free_ == nullptr) {
    return static_cast<Arena*>(memory_.Allocate(kArenaSize, alignof(Arena)));
  }
  Arena* const arena = free_;
  free_ = arena->next;
  const uint64_t used = arena->claimed.LoadRelaxed();
  std::memset(arena->payload(), 0,
              used < Arena::kCapacity ? used : Arena::kCapacity);
  arena->claimed.StoreRelaxed(0);
  return arena;
}

void MarkBitArenas::Rotate() {
  const MutexLock lock(mutex_);
  while (previous_ != nullptr) {
    Arena* const arena = previous_;
    previous_ = arena->next;
    arena->next = free_;
    free_ = arena;
  }
  previous_ = current_;
  current_ = next_.LoadRelaxed();
  next_.StoreRelease(nullptr);
}

bool MarkBitArenas::IsLive(const MarkWord* bits) const {
  const MutexLock lock(mutex_);
  for (Arena* list : {next_.LoadRelaxed(), current_, previous_}) {
    for (; list != nullptr; list = list->next) {
      if (list->Contains(bits)) return true;
    }
  }
  return false;
}

}  // namespace tricolor::mheap
