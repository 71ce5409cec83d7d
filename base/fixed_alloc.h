// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A free list of objects of one type over a PersistentAlloc. Memory is
// type-stable: a freed object's storage is only ever reused as another T, and
// Free does not run a destructor nor touch the object beyond its first word,
// so a stale reader that knows how to recognize a dead T may look at it.
// Allocate returns fresh storage zeroed, reused storage as it was left but for
// its first word; construct or set the fields yourself.
//
// Go counterpart: mfixalloc.go. Thread-compatible (the owner's lock guards it).
// INV-BASE-3: each slot of a slab is in use, on the free list, or not yet
// handed out.

#ifndef TRICOLOR_BASE_FIXED_ALLOC_H_
#define TRICOLOR_BASE_FIXED_ALLOC_H_

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/units.h"

namespace tricolor {

template <typename T>
class FixedAlloc {
 public:
  // Storage for T is cut from slabs of about this size.
  static constexpr ByteCount kSlabSize{16 << 10};

  explicit FixedAlloc(PersistentAlloc& memory) : memory_(memory) {}
  FixedAlloc(const FixedAlloc&) = delete;
  FixedAlloc& operator=(const FixedAlloc&) = delete;

  // Null when the OS has no more memory. *fresh (if given) says whether the
  // storage has never been handed out before, and is all zero.
  [[nodiscard]] T* Allocate(bool* fresh = nullptr) {
    static_assert(std::is_trivially_destructible_v<T>);
    if (fresh != nullptr) *fresh = free_list_ == nullptr;
    if (free_list_ != nullptr) {
      uint64_t* slot = free_list_;
      free_list_ = Addr(LoadWordRelaxed(slot)).as<uint64_t>();
      ++in_use_;
      return reinterpret_cast<T*>(slot);
    }
    if (next_ == limit_ && !NewSlab()) return nullptr;
    T* object = next_.as<T>();
    next_ += ByteCount(kSlotSize);
    ++in_use_;
    return object;
  }

  // Back to the free list. The first word becomes the list's link, by an
  // atomic store, for a stale reader may be looking at it.
  void Free(T* object) {
    TRICOLOR_CHECK(object != nullptr && in_use_ > 0,
                   "object %p freed to a FixedAlloc with %llu in use",
                   static_cast<void*>(object),
                   static_cast<unsigned long long>(in_use_));
    uint64_t* slot = reinterpret_cast<uint64_t*>(object);
    StoreWordRelaxed(slot, Addr(free_list_).value());
    free_list_ = slot;
    --in_use_;
  }

  uint64_t in_use() const { return in_use_; }
  // Of all slabs, what is free included.
  ByteCount bytes() const { return ByteCount(slots_ * kSlotSize); }

  // Fatal when INV-BASE-3 does not hold: the three kinds do not add up.
  void CheckInvariants() const {
    uint64_t free = (limit_ - next_).value() / kSlotSize;
    // A cycle in the list ends the walk with too many free slots.
    for (uint64_t* slot = free_list_; slot != nullptr && free <= slots_;
         slot = Addr(LoadWordRelaxed(slot)).template as<uint64_t>()) {
      ++free;
    }
    TRICOLOR_CHECK(in_use_ + free == slots_,
                   "FixedAlloc %p of %llu slots has %llu in use and %llu free "
                   "[INV-BASE-3]",
                   static_cast<const void*>(this),
                   static_cast<unsigned long long>(slots_),
                   static_cast<unsigned long long>(in_use_),
                   static_cast<unsigned long long>(free));
  }

 private:
  static constexpr uint64_t kSlotAlignment =
      std::max<uint64_t>(alignof(T), alignof(uint64_t));
  static constexpr uint64_t kSlotSize =
      AlignUp(std::max<uint64_t>(sizeof(T), sizeof(uint64_t)), kSlotAlignment);
  static constexpr uint64_t kSlotsPerSlab =
      std::max<uint64_t>(kSlabSize.value() / kSlotSize, 1);

  [[nodiscard]] bool NewSlab() {
    const ByteCount size(kSlotsPerSlab * kSlotSize);
    void* slab = memory_.Allocate(size, kSlotAlignment);
    if (slab == nullptr) return false;
    next_ = Addr(slab);
    limit_ = next_ + size;
    slots_ += kSlotsPerSlab;
    return true;
  }

  PersistentAlloc& memory_;
  uint64_t* free_list_ = nullptr;
  Addr next_;
  Addr limit_;
  uint64_t slots_ = 0;  // in all slabs
  uint64_t in_use_ = 0;
};

}  // namespace tricolor

#endif  // TRICOLOR_BASE_FIXED_ALLOC_H_
