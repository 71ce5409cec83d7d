// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The heap's life, growth, processors and statistics.

#include "tricolor/mheap/mheap.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/mheap/asan.h"

namespace tricolor::mheap {

using pagealloc::kChunkBytes;

namespace {

// The address space of a process, which no reservation can exceed.
constexpr ByteCount kAddressSpace{uint64_t{1} << 48};

}  // namespace

MHeap::MHeap(OsMemory& os, const MHeapOptions& options)
    : scavenged_is_zero_(os.unused_memory_is_zero()),
      options_(options),
      os_(os),
      metadata_(os),
      span_set_blocks_(metadata_),
      mark_bit_arenas_(metadata_),
      huge_chunks_(metadata_, options.huge_pages_from,
                   options.split_huge_pages),
      span_structures_(metadata_),
      weak_specials_(metadata_),
      call_specials_(metadata_),
      weak_slots_(metadata_) {
  MutexLock lock(lock_);
  stats_.Attach(own_stats_);
}

MHeap::~MHeap() {
  MutexLock lock(lock_);
  TRICOLOR_CHECK(processors_ == nullptr,
                 "heap %p destroyed with processor %p attached",
                 static_cast<void*>(this), static_cast<void*>(processors_));
  stats_.Release(own_stats_);
  if (base_.is_null()) return;
  // Whoever gets these addresses next knows nothing of our slots.
  ForEachHeapSpan(
      [](const MSpan& span) { AsanUnpoison(span.base(), span.bytes()); });
  os_.Free({base_, base_ + reserved_});
}

bool MHeap::Init() {
  TRICOLOR_CHECK(base_.is_null(), "heap %p initialized twice",
                 static_cast<void*>(this));
  uint64_t size = AlignUp(
      std::clamp(options_.reservation, kArenaSize, kAddressSpace).value(),
      kArenaSize.value());
  for (;; size = AlignUp(size / 2, kArenaSize.value())) {
    if (TryReserve(ByteCount(size))) return true;
    if (size == kArenaSize.value()) return false;
  }
}

bool MHeap::TryReserve(ByteCount size) {
  const Addr base = os_.Reserve(size, kArenaSize);
  if (base.is_null()) return false;
  MutexLock lock(lock_);
  const uint64_t pages = PagesIn(size).value();
  Tables& tables = tables_.emplace(os_);
  pagealloc::PageAlloc& page_alloc =
      pages_.emplace(os_, AddrRange{base, base + size});
  if (!tables.spans.Init(pages) || !tables.page_info.Init(pages) ||
      !tables.arenas.Init(size / kArenaSize) || !page_alloc.Init()) {
    pages_.reset();
    tables_.reset();
    os_.Free({base, base + size});
    return false;
  }
  huge_chunks_.Init(size / kChunkBytes);
  base_ = base;
  reserved_ = size;
  spans_ = tables.spans.data();
  page_info_ = tables.page_info.data();
  arenas_ = tables.arenas.data();
  return true;
}

// Makes the heap longer by enough whole chunks to hold a run of `pages` with
// the given alignment in the new part alone.
bool MHeap::Grow(PageCount pages, PageCount alignment) {
  const uint64_t grown = grown_bytes_.LoadRelaxed();
  const PageCount reserved = PagesIn(reserved_);
  if (pages > reserved || alignment > reserved) return false;
  const Addr end = base_ + ByteCount(grown);
  const Addr start = end.AlignUp(BytesOf(alignment).value());
  const ByteCount wanted = start - end + BytesOf(pages);
  const ByteCount step(AlignUp(wanted.value(), kChunkBytes.value()));
  if (step > reserved_ - ByteCount(grown)) return false;
  const ByteCount limit = ByteCount(grown) + step;
  if (limit > options_.max_mapped) return false;
  if (!CommitTables(grown, step.value())) return false;
  if (mapped_ < limit) {
    if (!os_.Map({base_ + mapped_, base_ + limit})) return false;
    // Marking jumps between pages at random, and a miss in the TLB costs about
    // as much as one in the cache (docs/mheap.md, "Huge pages").
    const AddrRange last = ChunkAt(ChunkIndex(base_ + limit - ByteCount(1)));
    if (huge_chunks_.Wants(ChunkIndex(last.base))) {
      const uint64_t first =
          std::max(huge_chunks_.first(), mapped_ / kChunkBytes);
      os_.HugePage({ChunkAt(first).base, last.limit});
    }
    mapped_ = limit;
  }
  if (!pages_->Grow(end, step)) return false;
  {
    StatsSection stats(own_stats_);
    stats->mapped_bytes += static_cast<int64_t>(step.value());
    stats->released_bytes += static_cast<int64_t>(step.value());
  }
  // Release, pairs with grown() and with whatever hands an address over:
  // Contains(a) must not be true before the tables are there.
  grown_bytes_.StoreRelease(limit.value());
  return true;
}

// By whole arenas, which makes it a look at a few bits in most calls.
bool MHeap::CommitTables(uint64_t offset, uint64_t bytes) {
  const uint64_t first = offset / kArenaSize.value();
  const uint64_t count =
      DivideRoundUp(offset + bytes, kArenaSize.value()) - first;
  const uint64_t pages = kArenaPages.value();
  return tables_->spans.EnsureCommitted(first * pages, count * pages) &&
         tables_->page_info.EnsureCommitted(first * pages, count * pages) &&
         tables_->arenas.EnsureCommitted(first, count);
}

void MHeap::AttachProcessor(ProcessorCache& processor) {
  TRICOLOR_CHECK(!processor.attached_, "processor %p attached twice",
                 static_cast<void*>(&processor));
  stats_.Attach(processor.stats_);
  MutexLock lock(lock_);
  uint32_t* const least =
      std::min_element(std::begin(shard_users_), std::end(shard_users_));
  ++*least;
  processor.shard_ = static_cast<uint32_t>(least - shard_users_);
  processor.attached_ = true;
  processor.next_ = processors_;
  processors_ = &processor;
}

void MHeap::ReleaseProcessor(ProcessorCache& processor) {
  MutexLock lock(lock_);
  ProcessorCache** link = &processors_;
  while (*link != nullptr && *link != &processor) link = &(*link)->next_;
  TRICOLOR_CHECK(*link != nullptr,
                 "processor %p released by heap %p, which does not have it",
                 static_cast<void*>(&processor), static_cast<void*>(this));
  processor.pages_.Flush(*pages_);
  while (processor.span_count_ > 0) {
    span_structures_.Free(processor.spans_[--processor.span_count_]);
  }
  stats_.Release(processor.stats_);
  --shard_users_[processor.shard_];
  *link = processor.next_;
  processor.next_ = nullptr;
  processor.attached_ = false;
}

void MHeap::FlushPageCache(ProcessorCache& processor) {
  if (processor.pages_.Empty()) return;
  MutexLock lock(lock_);
  processor.pages_.Flush(*pages_);
}

void MHeap::FinishSweep(MSpan& span, uint32_t marked) {
  MarkWord* fresh = mark_bit_arenas_.NewSweptBits(span.slots(), span.shard());
  TRICOLOR_CHECK(fresh != nullptr,
                 "the span at %p is swept outside of a cycle, for which mark "
                 "bits were reserved, and there is no memory for them",
                 span.base().pointer());
  span.FinishSweep(fresh, marked);
  span.mark_bits_epoch_ = mark_bit_arenas_.epoch();
  if (!span.is_large()) PublishPageInfo(span);
}

void MHeap::ClearPageMarks() {
  const uint64_t words = page_words();
  for (uint64_t i = 0; i < words; ++i) page_marks_word(i).StoreRelaxed(0);
}

HeapStats MHeap::ReadStats() const {
  const HeapStats stats = stats_.Read();
  stats.CheckBytes();
  return stats;
}

MetadataSizes MHeap::ReadMetadataSizes() const {
  MetadataSizes sizes;
  {
    MutexLock lock(lock_);
    sizes.spans_in_use = span_structures_.in_use();
    sizes.spans = span_structures_.bytes();
  }
  {
    MutexLock lock(special_lock_);
    sizes.specials_in_use = weak_specials_.in_use() + call_specials_.in_use();
    sizes.weak_slots_in_use = weak_slots_.in_use();
    sizes.specials =
        weak_specials_.bytes() + call_specials_.bytes() + weak_slots_.bytes();
  }
  sizes.mark_bits = mark_bit_arenas_.bytes();
  sizes.span_sets = span_set_blocks_.bytes();
  sizes.all = metadata_.bytes_from_os();
  return sizes;
}

PageCount MHeap::pages_in_use() const {
  return PagesIn(ByteCount(static_cast<uint64_t>(ReadStats().heap_span_bytes)));
}

}  // namespace tricolor::mheap
