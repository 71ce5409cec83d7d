// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/persistent_alloc.h"

#include <cstdint>
#include <new>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"

namespace tricolor {

// At the start of each OS allocation.
struct PersistentAlloc::Chunk {
  Chunk* next;
  AddrRange range;  // all of the allocation, this header included
};

PersistentAlloc::~PersistentAlloc() {
  MutexLock lock(mutex_);
  while (chunks_ != nullptr) {
    Chunk* chunk = chunks_;
    chunks_ = chunk->next;
    os_.Free(chunk->range);
  }
}

PersistentAlloc::Chunk* PersistentAlloc::NewChunk(ByteCount bytes) {
  const ByteCount page = os_.page_size();
  const ByteCount size(AlignUp(bytes.value(), page.value()));
  const Addr base = os_.Reserve(size, page);
  if (base.is_null()) return nullptr;
  const AddrRange range{base, base + size};
  if (!os_.Map(range) || !os_.Used(range)) {
    os_.Free(range);
    return nullptr;
  }
  chunks_ = ::new (base.pointer()) Chunk{chunks_, range};
  bytes_from_os_.AddOwned(size.value());
  return chunks_;
}

void* PersistentAlloc::AllocateDirect(ByteCount size, uint64_t alignment) {
  const ByteCount header(AlignUp(sizeof(Chunk), alignment));
  const ByteCount total = header + size;
  // Rounding up to whole OS pages must not wrap.
  if (total + os_.page_size() < size) return nullptr;
  Chunk* chunk = NewChunk(total);
  if (chunk == nullptr) return nullptr;
  return (chunk->range.base + header).pointer();
}

void* PersistentAlloc::Allocate(ByteCount size, uint64_t alignment) {
  TRICOLOR_CHECK(size > ByteCount(0), "persistent allocation of 0 bytes");
  TRICOLOR_CHECK(
      IsPowerOfTwo(alignment) && alignment <= os_.page_size().value(),
      "persistent allocation aligned to %llu, not a power of two up to the "
      "page size %llu",
      static_cast<unsigned long long>(alignment),
      static_cast<unsigned long long>(os_.page_size().value()));
  MutexLock lock(mutex_);
  if (size >= kDirectSize) return AllocateDirect(size, alignment);
  // The limit is on an OS page, so aligning does not step over it.
  Addr start = next_.AlignUp(alignment);
  if (limit_ - start < size) {
    Chunk* chunk = NewChunk(kChunkSize);
    if (chunk == nullptr) return nullptr;
    start = (chunk->range.base + ByteCount(sizeof(Chunk))).AlignUp(alignment);
    limit_ = chunk->range.limit;
  }
  next_ = start + size;
  return start.pointer();
}

ByteCount PersistentAlloc::bytes_from_os() const {
  return ByteCount(bytes_from_os_.LoadRelaxed());
}

void PersistentAlloc::CheckInvariants() const {
  MutexLock lock(mutex_);
  ByteCount held;
  bool cursor_found = limit_.is_null();
  for (const Chunk* chunk = chunks_; chunk != nullptr; chunk = chunk->next) {
    TRICOLOR_CHECK(Addr(chunk) == chunk->range.base,
                   "chunk header at %p says that its chunk begins at %p",
                   static_cast<const void*>(chunk),
                   chunk->range.base.pointer());
    held += chunk->range.size();
    if (limit_ == chunk->range.limit) {
      cursor_found = next_ > chunk->range.base && next_ <= limit_;
    }
  }
  TRICOLOR_CHECK(held == bytes_from_os(),
                 "chunks hold %llu bytes, the count says %llu [INV-BASE-2]",
                 static_cast<unsigned long long>(held.value()),
                 static_cast<unsigned long long>(bytes_from_os().value()));
  TRICOLOR_CHECK(cursor_found, "free part %p..%p lies in no chunk [INV-BASE-2]",
                 next_.pointer(), limit_.pointer());
}

}  // namespace tricolor
