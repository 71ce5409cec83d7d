// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The simulation's sweeping, and the steps of its cycles.

#include <cstdint>
#include <iterator>
#include <utility>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/tests/caches/simulation.h"

namespace tricolor::caches {

using mheap::MSpan;

// ---- Sweeping.

void Simulation::SweepSome() {
  const uint32_t n = choices_.Below(20);
  for (uint32_t i = 0; i < n; ++i) sweeper_.SweepOne(AnyProcessor().pages);
}

void Simulation::Reclaim() {
  sweeper_.Reclaim(AnyProcessor().pages, PageCount(1 + choices_.Below(50)));
}

void Simulation::EnsureSwept() {
  const Object* object = AnyObject();
  if (object == nullptr) return;
  MSpan* span = t_.heap.HeapSpanOf(Addr(object->address));
  if (span->sweep_gen() == t_.heap.sweep_gen() + 1) return;
  sweeper_.EnsureSwept(AnyProcessor().pages, *span);
}

// ---- Cycles.

void Simulation::StopTheWorldCycle() {
  if (!marking_) BeginMark();
  EndMark();
}

void Simulation::BeginMark() {
  FlushAll();
  sweeper_.SweepAll(AnyProcessor().pages);
  for (auto& p : processors_) {
    TRICOLOR_CHECK(p->cache->flush_gen() == t_.heap.sweep_gen(),
                   "a cache is not flushed");
    p->cache->ParkRuns();
    p->cache->set_allocate_black(true);
  }
  TRICOLOR_CHECK(t_.heap.mark_bit_arenas().Rotate(), "no memory for mark bits");
  t_.heap.ClearPageMarks();
  marking_ = true;
  allocated_while_marking_ = false;
  to_mark_ = live_;
  doomed_.insert(doomed_.end(), std::make_move_iterator(dropped_.begin()),
                 std::make_move_iterator(dropped_.end()));
  dropped_.clear();
}

void Simulation::MarkSome() {
  for (uint32_t n = choices_.Below(200); n > 0 && !to_mark_.empty(); --n) {
    Mark(to_mark_.back().address);
    to_mark_.pop_back();
  }
}

// Any address, as from a stack: what is free there must not be marked.
void Simulation::MarkConservatively() {
  if (!marking_ || t_.heap.grown() == ByteCount(0)) return;
  for (int i = 0; i < 10; ++i) {
    const uint64_t offset =
        (uint64_t{choices_.Below(65536)} << 16 | choices_.Below(65536)) %
        t_.heap.grown().value();
    const Addr address = t_.heap.base() + ByteCount(offset);
    const MSpan* span = t_.heap.HeapSpanOf(address);
    if (span == nullptr || span->IsFree(span->IndexOf(address))) continue;
    Mark(address.value());
    // Perhaps a lost slot, which then stays for another cycle.
    const Addr slot = span->SlotAddress(span->IndexOf(address));
    auto next = occupied_.lower_bound(slot.value());
    if (next == occupied_.end() ||
        next->first >= slot.value() + span->slot_size()) {
      cycles_with_lost_slots_ = 2;
    }
  }
}

void Simulation::Mark(uintptr_t address) {
  MSpan* span = t_.heap.HeapSpanOf(Addr(address));
  TRICOLOR_CHECK(span != nullptr, "marked object %zx in no span", address);
  const uint32_t index = span->IndexOf(Addr(address));
  TRICOLOR_CHECK(!span->IsFree(index), "marked object %zx is free", address);
  const uint32_t gen = span->sweep_gen();
  const uint32_t sg = t_.heap.sweep_gen();
  TRICOLOR_CHECK(gen == sg || gen == sg + 3,
                 "object %zx is marked in a span of generation %u, heap %u",
                 address, gen, sg);
  t_.Mark(span, index);
}

bool Simulation::IsMarked(uintptr_t address) {
  const MSpan* span = t_.heap.HeapSpanOf(Addr(address));
  return span->IsMarked(span->IndexOf(Addr(address)));
}

void Simulation::EndMark() {
  if (!marking_) return;
  for (const Object& object : to_mark_) Mark(object.address);
  to_mark_.clear();
  heap_live_ = 0;
  t_.heap.ForEachHeapSpan([this](const MSpan& span) {
    heap_live_ += static_cast<int64_t>(span.CountMarked() * span.slot_size());
  });
  // Marked all the same: by chance, or in a tiny block with one that lives.
  for (Object& object : doomed_) {
    if (IsMarked(object.address)) {
      dropped_.push_back(std::move(object));
    } else if (object.finalizer != 0) {
      Resurrect(object);
    } else {
      Bury(object);
    }
  }
  doomed_.clear();
  for (auto& p : processors_) p->cache->set_allocate_black(false);
  marking_ = false;
  sweeper_.StartPhase();
  sweeper_.SetPace(ByteCount(uint64_t{choices_.Below(256)} * kPageSize),
                   t_.heap.pages_in_use());
  if (cycles_with_lost_slots_ > 0) --cycles_with_lost_slots_;
  ++cycles_;
}

void Simulation::Bury(const Object& object) {
  CheckWhole(object);
  occupied_.erase(object.address);
  due_cleanups_.insert(object.cleanups.begin(), object.cleanups.end());
  if (object.weak != nullptr) due_weak_.insert(object.weak);
}

// Its finalizer brings it back for good, or for one more cycle.
void Simulation::Resurrect(Object& object) {
  CheckWhole(object);
  due_finalizers_[std::exchange(object.finalizer, 0)] = object.weak;
  if (object.weak != nullptr) due_weak_.insert(object.weak);
  object.weak = nullptr;
  const MSpan* span = t_.heap.HeapSpanOf(Addr(object.address));
  heap_live_ += static_cast<int64_t>(span->slot_size());
  (choices_.Below(2) == 0 ? live_ : dropped_).push_back(std::move(object));
}

}  // namespace tricolor::caches
