// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/root_table.h"

#include <algorithm>
#include <cstdint>
#include <new>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/heap_registry.h"
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

RootSlotCache* RootTable::OwnSlots() const {
  MutatorContext* own = MutatorOfThread(world_);
  if (own == nullptr) return nullptr;
  // Its own thread's last store, so relaxed, unless it is native.
  if (own->state.LoadRelaxed() != MutatorState::kManaged) return nullptr;
  return &own->root_slots;
}

RootSlot* RootTable::NewSlot(const void* p) {
  RootSlot* slot = TryNewSlot(p);
  if (slot == nullptr) throw std::bad_alloc();
  return slot;
}

RootSlot* RootTable::TryNewSlot(const void* p) {
  if (RootSlotCache* own = OwnSlots()) {
    if (own->first == nullptr) {
      MutexLock lock(mutex_);
      if (!Reserve()) return nullptr;
      Move(free_, *own, RootBlock::kSlots);
    }
    RootSlot* slot = Pop(*own);
    slot->StoreRelaxed(WordOf(p));
    return slot;
  }
  MutexLock lock(mutex_);
  if (!Reserve()) return nullptr;
  RootSlot* slot = Pop(free_);
  slot->StoreRelaxed(WordOf(p));
  return slot;
}

void RootTable::Set(RootSlot* slot, const void* p) {
  if (OwnSlots() != nullptr) {
    slot->StoreRelaxed(WordOf(p));
    return;
  }
  MutexLock lock(mutex_);
  slot->StoreRelaxed(WordOf(p));
}

void RootTable::Free(RootSlot* slot) {
  if (RootSlotCache* own = OwnSlots()) {
    Push(*own, slot);
    if (own->count <= kMostCached) return;
    MutexLock lock(mutex_);
    Move(*own, free_, RootBlock::kSlots);
    return;
  }
  MutexLock lock(mutex_);
  Push(free_, slot);
}

void RootTable::Absorb(RootSlotCache& cache) {
  MutexLock lock(mutex_);
  Move(cache, free_, cache.count);
}

void RootTable::MarkBlock(const RootBlock& block, gc::MarkWorker& worker) {
  for (const RootSlot& slot : block.slots) {
    const Addr target = Get(slot);
    if (!target.is_null()) worker.Visit(target.pointer());
  }
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
  if (p == nullptr) return nullptr;
  TRICOLOR_CHECK(table.Contains(p), "a Root of %p, which is not in its heap",
                 p);
  return table.TryNewSlot(p);
}

RootSlot* NewRootIn(RootTable& table, const void* p) {
  RootSlot* slot = TryNewRootIn(table, p);
  if (slot == nullptr && p != nullptr) throw std::bad_alloc();
  return slot;
}

void FreeRoot(RootSlot* slot) {
  if (slot != nullptr) RootBlock::Of(slot).table->Free(slot);
}

}  // namespace tricolor::runtime
