// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/weak.h"

#include <sched.h>

#include <cstdint>
#include <optional>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/page_info.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/heap_registry.h"

namespace tricolor::runtime {
namespace {

HeapCore& HeapOf(const void* p) {
  HeapCore* core = HeapRegistry::Find(p);
  TRICOLOR_CHECK(core != nullptr, "%p lies in no heap", p);
  return *core;
}

// The mark bit of the object that contains `target`, found by atomic reads
// only, because `span` may be swept, freed and reused meanwhile; nothing when
// its generation is no longer `gen`.
std::optional<bool> MarkOf(const mheap::MHeap& heap, const mheap::MSpan& span,
                           Addr target, uint32_t gen) {
  uint32_t index = 0;
  const mheap::MarkWord* bits = nullptr;
  const mheap::PageInfo info = heap.page_info(target);
  if (info.has_small_objects()) {
    index = info.SlotAt(target);
    bits = info.mark_bits();
  } else {
    bits = span.mark_bits();
  }
  // Null: the pages have become a manual span's since the generation was read,
  // and that of a manual span means nothing. The serial is gone by now.
  if (bits == nullptr || span.sweep_gen() != gen) return std::nullopt;
  const uint64_t word = bits[index / 64].LoadAcquire();
  if (span.sweep_gen() != gen) return std::nullopt;
  return ((word >> (index % 64)) & 1) != 0;
}

// Whether the object at `target`, whose serial was still its own, survived the
// last cycle; nothing when that cannot be told at this moment.
//
// A span that has been swept (sg, or sg+3: cached since): its dead objects have
// lost their serials before the generation was published, so the caller's next
// look at the serial decides. A span that has not (sg-2, or sg+1: cached since
// before): its mark bits are those of the last cycle as long as the generation
// stays. Its sweeper first changes the generation, then replaces the mark bits:
// who has seen the new ones (acquire) sees the new generation. Bitmaps are
// never unmapped, so that reading old ones does no harm.
std::optional<bool> Survived(const mheap::MHeap& heap, Addr target) {
  const mheap::MSpan* span = heap.SpanOf(target);
  if (span == nullptr) return true;  // freed: the serial is gone
  const uint32_t sg = heap.sweep_gen();
  const uint32_t gen = span->sweep_gen();
  if (gen == sg || gen == sg + 3) return true;
  if (gen != sg - 2 && gen != sg + 1) return std::nullopt;
  return MarkOf(heap, *span, target, gen);
}

}  // namespace

WeakHandle MakeWeak(const void* p) {
  HeapCore& core = HeapOf(p);
  WeakHandle handle;
  core.WithSweptSpan(p, [&](mheap::MSpan& span) {
    const uint32_t index = span.IndexOf(Addr(p));
    mheap::WeakSlot* slot = core.mheap().WeakSlotFor(span, index);
    if (slot == nullptr) return;
    handle.slot = slot;
    handle.serial = slot->serial.LoadRelaxed();
    handle.offset = (Addr(p) - span.SlotAddress(index)).value();
  });
  return handle;
}

void* GetWeak(const WeakHandle& handle) {
  const mheap::WeakSlot& slot = *handle.slot;
  for (;;) {
    // Acquire, pairs with the release of the sweeper, and of who made the slot.
    if (slot.serial.LoadAcquire() != handle.serial) return nullptr;
    const Addr target(slot.target.LoadRelaxed());
    auto* core = static_cast<HeapCore*>(slot.heap);
    const std::optional<bool> survived = Survived(core->mheap(), target);
    if (!survived.has_value()) {
      sched_yield();  // the sweeper is at this span: a matter of microseconds
      continue;
    }
    if (!*survived) return nullptr;
    // The target belongs to the serial, and the generation was read before.
    if (slot.serial.LoadAcquire() != handle.serial) return nullptr;
    return (target + ByteCount(handle.offset)).pointer();
  }
}

}  // namespace tricolor::runtime
