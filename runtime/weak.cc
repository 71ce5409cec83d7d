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
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/heap_registry.h"
#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/survival.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

HeapCore& HeapOf(const void* p) {
  HeapCore* core = HeapRegistry::Find(p);
  TRICOLOR_CHECK(core != nullptr, "%p lies in no heap", p);
  return *core;
}

}  // namespace

WeakHandle MakeWeak(const void* p) {
  const NoPreempt no_preempt;
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
  return handle;  // null if that could not be done for want of memory
}

void* GetWeak(const WeakHandle& handle) {
  const NoPreempt no_preempt;
  const mheap::WeakSlot& slot = *handle.slot;
  for (;;) {
    // Acquire, pairs with the release of the sweeper, and of who made the slot.
    if (slot.serial.LoadAcquire() != handle.serial) return nullptr;
    const Addr target(slot.target.LoadRelaxed());
    auto* core = static_cast<HeapCore*>(slot.heap);
    const std::optional<bool> survived =
        SurvivedLastCycle(core->mheap(), target);
    if (!survived.has_value()) {
      sched_yield();  // the sweeper is at this span: a matter of microseconds
      continue;
    }
    if (!*survived) return nullptr;
    // The target belongs to the serial, and the generation was read before.
    if (slot.serial.LoadAcquire() != handle.serial) return nullptr;
    // From now on it is reachable, which marking may not have known. Marking
    // ends with the world stopped, when this thread has published.
    MutatorContext* own = MutatorOfThread(core->world());
    if (own != nullptr && own->marking) own->Shade(target.pointer(), nullptr);
    return (target + ByteCount(handle.offset)).pointer();
  }
}

}  // namespace tricolor::runtime
