// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A large array in reserved address space of which only the touched parts have
// memory: the page tables, chunk bitmaps and summaries of the heap. Elements
// are zero when first committed. Committing is by granules of
// kGranule bytes; a committed element stays committed, and at the same
// address, until the array is destroyed.
//
// Go counterpart: the sysReserve/sysGrow of summary levels in
// mpagealloc_64bit.go. EnsureCommitted is thread-compatible (the owner's lock
// guards it); IsCommitted and committed() may run beside it on any thread;
// reading and writing committed elements is up to the element type.
// INV-BASE-6: a committed granule is Ready memory, and committed() counts them.

#ifndef TRICOLOR_BASE_LAZY_ARRAY_H_
#define TRICOLOR_BASE_LAZY_ARRAY_H_

#include <cstdint>
#include <type_traits>

#include "tricolor/base/atomic.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/base/units.h"

namespace tricolor {

// The untyped part of LazyArray.
class LazyRegion {
 public:
  // The unit of commitment; a multiple of the OS page size.
  static constexpr ByteCount kGranule{64 << 10};

  explicit LazyRegion(OsMemory& os) : os_(os) {}
  ~LazyRegion();
  LazyRegion(const LazyRegion&) = delete;
  LazyRegion& operator=(const LazyRegion&) = delete;

  // Once, before any other call. False when the OS refuses; it may then be
  // tried again, for example with half the size.
  [[nodiscard]] bool Init(ByteCount size);
  // Makes the bytes [offset, offset + size) usable, with one pair of OS calls
  // for each run of granules that are not. False when the OS refuses; what was
  // committed before stays so, and the call may be repeated.
  [[nodiscard]] bool EnsureCommitted(ByteCount offset, ByteCount size);
  // True means that the byte is usable by the calling thread.
  bool IsCommitted(ByteCount offset) const;

  Addr base() const { return base_; }
  ByteCount committed() const { return ByteCount(committed_.LoadRelaxed()); }

  // Fatal when INV-BASE-6 does not hold, as far as the bits of the granules
  // can tell. Thread-compatible.
  void CheckInvariants() const;

 private:
  [[nodiscard]] bool CommitRun(uint64_t first, uint64_t limit);
  AddrRange RangeOf(uint64_t first, uint64_t limit) const;

  OsMemory& os_;
  Addr base_;
  ByteCount size_;
  uint64_t granules_ = 0;
  AddrRange reservation_;
  Atomic<uint64_t> committed_;
  // One bit a granule each, kept at the end of the reservation itself. A
  // granule that the OS mapped and then refused to make usable is mapped but
  // not committed.
  Atomic<uint64_t>* committed_bits_ = nullptr;
  Atomic<uint64_t>* mapped_bits_ = nullptr;
};

// T is trivially destructible and its zero bytes are a valid value.
template <typename T>
class LazyArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit LazyArray(OsMemory& os) : region_(os) {}

  [[nodiscard]] bool Init(uint64_t length) {
    if (!region_.Init(ByteCount(length * sizeof(T)))) return false;
    length_ = length;
    return true;
  }
  [[nodiscard]] bool EnsureCommitted(uint64_t first, uint64_t count) {
    return region_.EnsureCommitted(ByteCount(first * sizeof(T)),
                                   ByteCount(count * sizeof(T)));
  }
  bool IsCommitted(uint64_t index) const {
    return region_.IsCommitted(ByteCount(index * sizeof(T)));
  }

  // The element must be committed.
  T& operator[](uint64_t index) { return data()[index]; }
  const T& operator[](uint64_t index) const { return data()[index]; }
  T* data() { return region_.base().template as<T>(); }
  const T* data() const { return region_.base().template as<const T>(); }

  uint64_t size() const { return length_; }
  ByteCount committed() const { return region_.committed(); }
  void CheckInvariants() const { region_.CheckInvariants(); }

 private:
  LazyRegion region_;
  uint64_t length_ = 0;
};

}  // namespace tricolor

#endif  // TRICOLOR_BASE_LAZY_ARRAY_H_
