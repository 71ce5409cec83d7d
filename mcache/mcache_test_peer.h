// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Looks into an MCache, and changes what only its inlined allocation and its
// flush change.
//
// Test-only.

#ifndef TRICOLOR_MCACHE_MCACHE_TEST_PEER_H_
#define TRICOLOR_MCACHE_MCACHE_TEST_PEER_H_

#include <cstdint>

#include "tricolor/mcache/mcache.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::mcache {

class MCacheTestPeer {
 public:
  static mheap::MSpan* Current(MCache& cache, mheap::SpanClass c) {
    return cache.spans_[c.index()];
  }
  // The words that the inlined allocation reads and writes.
  static uintptr_t& Next(MCache& cache, mheap::SpanClass c) {
    return cache.runs_[c.index()].next;
  }
  static uintptr_t Limit(MCache& cache, mheap::SpanClass c) {
    return cache.runs_[c.index()].limit;
  }
  static void SetFlushGen(MCache& cache, uint32_t gen) {
    cache.flush_gen_.StoreRelaxed(gen);
  }
};

}  // namespace tricolor::mcache

#endif  // TRICOLOR_MCACHE_MCACHE_TEST_PEER_H_
