// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the page heap keeps for each processor: a window of free pages, a stack
// of span structures, and the processor's share of the statistics. With it most
// AllocSpan calls take no lock.
//
// Go counterpart: the pcache, mspancache and statsSeq parts of a P; the span
// cache is 128 structures, refilled by 64.
// Owned by a processor and used by one thread at a time (thread-compatible).

#ifndef TRICOLOR_MHEAP_PROCESSOR_CACHE_H_
#define TRICOLOR_MHEAP_PROCESSOR_CACHE_H_

#include <cstdint>

#include "tricolor/mheap/consistent_stats.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/shards.h"
#include "tricolor/pagealloc/page_cache.h"

namespace tricolor::mheap {

class ProcessorCache {
 public:
  static constexpr uint32_t kSpanCapacity = 128;
  static constexpr uint32_t kSpanRefill = kSpanCapacity / 2;

  ProcessorCache() = default;
  // Must have been handed back with MHeap::ReleaseProcessor.
  ~ProcessorCache();
  ProcessorCache(const ProcessorCache&) = delete;
  ProcessorCache& operator=(const ProcessorCache&) = delete;

  // For a StatsSection, while a heap has the processor.
  StatsWriter& stats() { return stats_; }
  // The part of shared structures that it uses first, while a heap has it:
  // below kShards, and as few others' as can be.
  uint32_t shard() const { return shard_; }
  // What is cached; for tests.
  const pagealloc::PageCache& page_cache() const { return pages_; }
  uint32_t cached_spans() const { return span_count_; }

 private:
  friend class MHeap;  // and its checker

  pagealloc::PageCache pages_;
  uint32_t span_count_ = 0;
  MSpan* spans_[kSpanCapacity] = {};
  StatsWriter stats_;
  ProcessorCache* next_ = nullptr;  // the heap's list, guarded by its lock
  uint32_t shard_ = 0;
  bool attached_ = false;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_PROCESSOR_CACHE_H_
