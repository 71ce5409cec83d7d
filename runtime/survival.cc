// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/survival.h"

#include <cstdint>
#include <optional>

#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/page_info.h"

namespace tricolor::runtime {
namespace {

// The mark bit of the object that contains `target`, found by atomic reads
// only, because `span` may be swept, freed and reused meanwhile; nothing when
// its generation is no longer `gen`, or the heap's no longer `sg`.
std::optional<bool> MarkOf(const mheap::MHeap& heap, const mheap::MSpan& span,
                           Addr target, uint32_t gen, uint32_t sg) {
  uint32_t index = 0;
  const mheap::MarkWord* bits = nullptr;
  const mheap::PageInfo info = heap.page_info(target);
  if (info.has_small_objects()) {
    index = info.SlotAt(target);
    bits = info.mark_bits();
  } else {
    bits = span.mark_bits();
  }
  // Null: the pages have become a manual span's since the serial was read, and
  // the generation of a manual span means nothing. The serial is gone by now.
  if (bits == nullptr || span.sweep_gen() != gen) return std::nullopt;
  const uint64_t word = bits[index / 64].LoadAcquire();
  if (span.sweep_gen() != gen) return std::nullopt;
  // The generation of a span that is being swept in the next cycle is sg+1,
  // too: the bit may be a fresh one then. Whoever has stored that generation,
  // or published such bits, had seen sg+2, and so do we now (acquire).
  if (heap.sweep_gen() != sg) return std::nullopt;
  return ((word >> (index % 64)) & 1) != 0;
}

}  // namespace

// A span that has been swept (sg, or sg+3: cached since): its dead objects, and
// those that came back by a finalizer, have lost their serials before the
// generation was published, so the caller's next look at the serial decides. A
// span that has not (sg-2, or sg+1: cached since before): its mark bits are
// those of the last cycle as long as its generation and the heap's stay. Its
// sweeper first changes the generation, then marks for finalizers and replaces
// the mark bits: who has seen any of that (acquire) sees the new generation, or
// one that has come after it, sg+1 again perhaps, but then the heap's is new.
// Bitmaps are never unmapped, so that reading old ones does no harm.
std::optional<bool> SurvivedLastCycle(const mheap::MHeap& heap, Addr target) {
  const mheap::MSpan* span = heap.SpanOf(target);
  if (span == nullptr) return true;  // freed: the serial is gone
  const uint32_t sg = heap.sweep_gen();
  const uint32_t gen = span->sweep_gen();
  if (gen == sg || gen == sg + 3) return true;
  if (gen != sg - 2 && gen != sg + 1) return std::nullopt;
  return MarkOf(heap, *span, target, gen, sg);
}

}  // namespace tricolor::runtime
