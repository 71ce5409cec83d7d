// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What every page allocation returns: where the pages are, and how many of
// their bytes have been given back to the operating system, which the caller
// must make usable (OsMemory::Used) before touching them.
//
// Go counterpart: the (addr, scav) results of pageAlloc.alloc and
// pageCache.alloc. A value type.

#ifndef TRICOLOR_PAGEALLOC_PAGE_RUN_H_
#define TRICOLOR_PAGEALLOC_PAGE_RUN_H_

#include "tricolor/base/units.h"

namespace tricolor::pagealloc {

struct PageRun {
  // Null when no run was found; `scavenged_bytes` is then zero.
  Addr base;
  ByteCount scavenged_bytes;

  constexpr explicit operator bool() const { return !base.is_null(); }
  friend constexpr bool operator==(const PageRun&, const PageRun&) = default;
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PAGE_RUN_H_
