// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/root_table.h"

#include <algorithm>
#include <cstdint>
#include <new>

#include "absl/base/optimization.h"
#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/heap_registry.h"
#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/stack_scan.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

uint64_t WordOf(const void* p) { return Addr(p).value(); }

// The table of a heap of this thread's that contains `p`, else of any heap.
RootTable* FindTable(const void* p) {
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    if (m->roots->Contains(p)) return m->roots;
  }
  HeapCore* core = HeapRegistry::Find(p);
  return core == nullptr ? nullptr : &core->roots();
}

}  // namespace

RootSlot* RootTable::Pop(RootSlotCache& list) {
  RootSlot* slot = list.first;
  list.first = Addr(slot->LoadRelaxed() & ~kFreeBit).as<RootSlot>();
  --list.count;
  return slot;
}

void RootTable::Push(RootSlotCache& list, RootSlot* slot) {
  slot->StoreRelaxed(WordOf(list.first) | kFreeBit);
  list.first = slot;
  ++list.count;
}

void RootTable::Move(RootSlotCache& from, RootSlotCache& to, size_t count) {
  for (count = std::min(count, from.count); count != 0; --count) {
    Push(to, Pop(from));
  }
}

bool RootTable::Reserve() {
  if (free_.first != nullptr) return true;
  auto* block = heap_.metadata().New<RootBlock>();
  if (block == nullptr) return false;
  block->table = this;
  block->next = blocks_;
  blocks_ = block;
  ++block_count_;
  for (size_t i = RootBlock::kSlots; i-- > 0;) Push(free_, &block->slots[i]);
  return true;
}

MutatorContext* RootTable::Managed() const {
  MutatorContext* own = MutatorOfThread(world_);
  if (own == nullptr) return nullptr;
  // Its own thread's last store, so relaxed, unless it is native.
  return own->state.LoadRelaxed() == MutatorState::kManaged ? own : nullptr;
}

void RootTable::Record(MutatorContext& own, const RootSlot& slot,
                       const void* p) {
  if (ABSL_PREDICT_TRUE(!own.marking)) return;
  own.Shade(Addr(slot.LoadRelaxed()).pointer(), p);
}

// Both halves: such a thread has no stack that is known to be scanned.
void RootTable::RecordLocked(const RootSlot& slot, const void* p) {
  if (!marking_) return;
  grey_.Add(slot.LoadRelaxed());
  grey_.Add(WordOf(p));
}

RootSlot* RootTable::NewSlot(const void* p) {
  RootSlot* slot = TryNewSlot(p);
  if (slot == nullptr) throw std::bad_alloc();
  return slot;
}

// The stores of pointers are releases, which pair with Get: who finds an
// object finds it initialized.
RootSlot* RootTable::TryNewSlot(const void* p) {
  if (MutatorContext* own = Managed()) {
    RootSlotCache& slots = own->root_slots;
    if (slots.first == nullptr) {
      MutexLock lock(mutex_);
      if (!Reserve()) return nullptr;
      Move(free_, slots, RootBlock::kSlots);
    }
    RootSlot* slot = Pop(slots);
    Record(*own, *slot, p);
    slot->StoreRelease(WordOf(p));
    return slot;
  }
  MutexLock lock(mutex_);
  if (!Reserve()) return nullptr;
  RootSlot* slot = Pop(free_);
  RecordLocked(*slot, p);
  slot->StoreRelease(WordOf(p));
  return slot;
}

void RootTable::Set(RootSlot* slot, const void* p) {
  if (MutatorContext* own = Managed()) {
    Record(*own, *slot, p);
    slot->StoreRelease(WordOf(p));
    return;
  }
  MutexLock lock(mutex_);
  RecordLocked(*slot, p);
  slot->StoreRelease(WordOf(p));
}

void RootTable::Shade(const void* p) {
  if (MutatorContext* own = Managed()) {
    if (own->marking) own->Shade(p, nullptr);
    return;
  }
  MutexLock lock(mutex_);
  if (marking_) grey_.Add(WordOf(p));
}

void RootTable::Free(RootSlot* slot) {
  if (MutatorContext* own = Managed()) {
    Record(*own, *slot, nullptr);
    RootSlotCache& slots = own->root_slots;
    Push(slots, slot);
    if (slots.count <= kMostCached) return;
    MutexLock lock(mutex_);
    Move(slots, free_, RootBlock::kSlots);
    return;
  }
  MutexLock lock(mutex_);
  RecordLocked(*slot, nullptr);
  Push(free_, slot);
}

// ---- Marking.

void RootTable::BeginMarking() {
  MutexLock lock(mutex_);
  marking_ = true;
}

void RootTable::EndMarking() {
  TRICOLOR_CHECK(grey_.empty(), "marking ends while Roots are to be marked");
  marking_ = false;
}

void RootTable::PublishGrey() { grey_.Publish(); }

size_t RootTable::ShadeRootRange(AddrRange range) {
  return ShadeRange(range, grey_);
}

void RootTable::Absorb(RootSlotCache& cache) {
  MutexLock lock(mutex_);
  Move(cache, free_, cache.count);
}

size_t RootTable::CountUsed() {
  MutexLock lock(mutex_);
  return CountUsedLocked();
}

void RootTable::CheckInvariants(size_t cached) {
  MutexLock lock(mutex_);
  const size_t used = CountUsedLocked();
  TRICOLOR_CHECK(
      used + cached + free_.count == block_count_ * RootBlock::kSlots,
      "INV-RUNTIME-3: %zu root slots in use, %zu in mutators' lists and %zu "
      "free, but %zu blocks",
      used, cached, free_.count, block_count_);
}

size_t RootTable::CountUsedLocked() const {
  size_t used = 0;
  for (const RootBlock* b = blocks_; b != nullptr; b = b->next) {
    used += static_cast<size_t>(std::count_if(
        b->slots, b->slots + RootBlock::kSlots,
        [](const RootSlot& slot) { return !Get(slot).is_null(); }));
  }
  return used;
}

void AssignRoot(RootSlot** slot, const void* p) {
  const NoPreempt no_preempt;
  RootSlot* const old = *slot;
  RootSlot* fresh = nullptr;
  if (p != nullptr) {
    if (old != nullptr && RootBlock::Of(old).table->Contains(p)) {
      RootBlock::Of(old).table->Set(old, p);
      return;
    }
    RootTable* table = FindTable(p);
    TRICOLOR_CHECK(table != nullptr, "a Root of %p, which lies in no heap", p);
    fresh = table->NewSlot(p);
  }
  *slot = fresh;
  FreeRoot(old);
}

RootSlot* TryNewRootIn(RootTable& table, const void* p) {
  const NoPreempt no_preempt;
  if (p == nullptr) return nullptr;
  TRICOLOR_CHECK(table.Contains(p), "a Root of %p, which is not in its heap",
                 p);
  return table.TryNewSlot(p);
}

RootSlot* NewRootIn(RootTable& table, const void* p) {
  const NoPreempt no_preempt;
  RootSlot* slot = TryNewRootIn(table, p);
  if (slot == nullptr && p != nullptr) throw std::bad_alloc();
  return slot;
}

void FreeRoot(RootSlot* slot) {
  const NoPreempt no_preempt;
  if (slot != nullptr) RootBlock::Of(slot).table->Free(slot);
}

}  // namespace tricolor::runtime
