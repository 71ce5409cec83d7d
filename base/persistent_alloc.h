// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory for the heap's own structures: a bump allocator over chunks from the
// OS whose pieces are never given back one by one; all of it returns to the OS
// with the allocator. Memory is zeroed. Pieces stay mapped and addressable for
// the allocator's lifetime, which is what lock-free readers of type-stable
// structures rely on.
//
// Go counterpart: persistentalloc in malloc.go (chunks of 256 KiB, larger
// requests go straight to the OS). Thread-safe (guarded by its own mutex).
// INV-BASE-2: bytes_from_os() is the sum of the chunks, and the free part lies
// in one of them.

#ifndef TRICOLOR_BASE_PERSISTENT_ALLOC_H_
#define TRICOLOR_BASE_PERSISTENT_ALLOC_H_

#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/base/units.h"

namespace tricolor {

class PersistentAlloc {
 public:
  static constexpr ByteCount kChunkSize{256 << 10};
  // Requests from this size on get their own OS allocation.
  static constexpr ByteCount kDirectSize{64 << 10};

  // `os` outlives the allocator.
  explicit PersistentAlloc(OsMemory& os) : os_(os) {}
  ~PersistentAlloc();
  PersistentAlloc(const PersistentAlloc&) = delete;
  PersistentAlloc& operator=(const PersistentAlloc&) = delete;

  // Zeroed memory, aligned to `alignment` (a power of two, at most the OS page
  // size); `size` is not 0. Null when the OS has no more; nothing is changed
  // then.
  [[nodiscard]] void* Allocate(ByteCount size, uint64_t alignment)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // As above for one T, value-initialized; T is trivially destructible.
  template <typename T, typename... Args>
  [[nodiscard]] T* New(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>);
    void* memory = Allocate(ByteCount(sizeof(T)), alignof(T));
    if (memory == nullptr) return nullptr;
    return ::new (memory) T(std::forward<Args>(args)...);
  }

  // Bytes obtained from the OS and still held.
  ByteCount bytes_from_os() const;

  OsMemory& os() { return os_; }

  // Fatal when INV-BASE-2 does not hold.
  void CheckInvariants() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Chunk;  // header of an OS allocation, linked for the destructor

  // An OS allocation of at least `bytes`, header included.
  Chunk* NewChunk(ByteCount bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void* AllocateDirect(ByteCount size, uint64_t alignment)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  OsMemory& os_;
  mutable Mutex mutex_{LockRank::kPersistentAlloc};
  Chunk* chunks_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // The unused part of the chunk that small pieces are cut from.
  Addr next_ ABSL_GUARDED_BY(mutex_);
  Addr limit_ ABSL_GUARDED_BY(mutex_);
  Atomic<uint64_t> bytes_from_os_;
};

}  // namespace tricolor

#endif  // TRICOLOR_BASE_PERSISTENT_ALLOC_H_
