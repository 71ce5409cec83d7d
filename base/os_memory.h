// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the heap needs of the operating system's virtual memory. base/sys has
// the implementation for Linux and a fake that fails on demand.
//
// A range of addresses is in one of four states, after Go's mem.go:
//
//   None --Reserve--> Reserved --Map--> Prepared --Used--> Ready
//                                         Ready --Unused--> Prepared
//                any of Reserved, Prepared, Ready --Free--> None
//
// Only Ready memory may be touched. Prepared memory holds no physical pages;
// whether it reads as zero once it is Ready again is unused_memory_is_zero().
// All ranges are multiples of page_size(). Thread-safe; may be called under
// any lock of the heap; never calls malloc. A call that fails changes nothing.

#ifndef TRICOLOR_BASE_OS_MEMORY_H_
#define TRICOLOR_BASE_OS_MEMORY_H_

#include "tricolor/base/units.h"

namespace tricolor {

class OsMemory {
 public:
  virtual ~OsMemory() = default;

  // The granularity of all calls here, a power of two.
  virtual ByteCount page_size() const = 0;
  // Zero when the system has no huge pages.
  virtual ByteCount huge_page_size() const = 0;
  virtual bool unused_memory_is_zero() const = 0;

  // Reserves address space, aligned to `alignment` (a power of two), without
  // committing memory. Null when the system refuses.
  [[nodiscard]] virtual Addr Reserve(ByteCount size, ByteCount alignment) = 0;
  // Reserved -> Prepared. False when the system refuses. The first use of
  // memory after Map finds zeros.
  [[nodiscard]] virtual bool Map(AddrRange range) = 0;
  // Prepared -> Ready; parts of the range may be Ready already and keep their
  // contents (a heap page shares an OS page with others when those are larger).
  // False when the system refuses to commit.
  [[nodiscard]] virtual bool Used(AddrRange range) = 0;
  // Ready -> Prepared: gives the physical pages back. False when the system
  // refuses; the range is then still Ready and its contents are kept.
  [[nodiscard]] virtual bool Unused(AddrRange range) = 0;
  // Advice on Ready or Prepared memory; failures are ignored.
  virtual void HugePage(AddrRange range) = 0;
  virtual void NoHugePage(AddrRange range) = 0;
  // Reserved, Prepared or Ready -> None. `range` lies within one reservation.
  virtual void Free(AddrRange range) = 0;
};

}  // namespace tricolor

#endif  // TRICOLOR_BASE_OS_MEMORY_H_
