// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The simulation's cleanups, finalizers and weak handles.

#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/tests/caches/simulation.h"

namespace tricolor::caches {

using mheap::MSpan;

void Simulation::AttachSpecial() {
  Object* object = AnyObject();
  if (object == nullptr) return;
  MSpan* span = SweptSpanOf(*object);
  if (span == nullptr) return;
  const uint32_t index = span->IndexOf(Addr(object->address));
  if (choices_.Below(2) == 0) {
    const uintptr_t record = next_record_++;
    if (t_.heap.AddCleanup(*span, index, reinterpret_cast<void*>(record)) !=
        nullptr) {
      object->cleanups.push_back(record);
    }
  } else if (object->weak == nullptr) {
    object->weak = t_.heap.WeakSlotFor(*span, index);
    if (object->weak != nullptr) {
      object->serial = object->weak->serial.LoadAcquire();
    }
  }
}

void Simulation::SetFinalizer() {
  Object* object = AnyObject();
  if (object == nullptr || object->finalizer != 0) return;
  MSpan* span = SweptSpanOf(*object);
  if (span == nullptr) return;
  const uintptr_t record = next_record_++;
  if (t_.heap.SetFinalizer(*span, span->IndexOf(Addr(object->address)),
                           reinterpret_cast<void*>(record)) != nullptr) {
    object->finalizer = record;
  }
}

void Simulation::ClearFinalizer() {
  Object* object = AnyObject();
  if (object == nullptr) return;
  MSpan* span = SweptSpanOf(*object);
  if (span == nullptr) return;
  void* record = nullptr;
  const bool cleared = t_.heap.ClearFinalizer(
      *span, span->IndexOf(Addr(object->address)), &record);
  TRICOLOR_CHECK(cleared == (object->finalizer != 0) &&
                     reinterpret_cast<uintptr_t>(record) == object->finalizer,
                 "finalizer %p taken off object %zx, which has %zu", record,
                 object->address, object->finalizer);
  object->finalizer = 0;
}

void Simulation::TakeDead(mheap::Special* list) {
  while (list != nullptr) {
    mheap::Special* next = list->next;
    CheckDue(*list);
    t_.heap.FreeSpecial(list);
    list = next;
  }
}

void Simulation::CheckDue(const mheap::Special& special) {
  if (special.kind == mheap::SpecialKind::kCleanup) {
    const auto record = reinterpret_cast<uintptr_t>(
        static_cast<const mheap::CallSpecial&>(special).record);
    TRICOLOR_CHECK(due_cleanups_.erase(record) == 1,
                   "cleanup %zu reported, which was not due", record);
  } else if (special.kind == mheap::SpecialKind::kFinalizer) {
    const auto record = reinterpret_cast<uintptr_t>(
        static_cast<const mheap::CallSpecial&>(special).record);
    const auto due = due_finalizers_.find(record);
    TRICOLOR_CHECK(due != due_finalizers_.end(),
                   "finalizer %zu reported, which was not due", record);
    TRICOLOR_CHECK(due_weak_.count(due->second) == 0,
                   "finalizer %zu reported before its object's weak handle",
                   record);
    due_finalizers_.erase(due);
  } else {
    mheap::WeakSlot* slot =
        static_cast<const mheap::WeakSpecial&>(special).slot;
    TRICOLOR_CHECK(
        due_weak_.erase(slot) == 1 && slot->serial.LoadAcquire() == 0,
        "weak handle reported that was not due, or is alive");
  }
}

}  // namespace tricolor::caches
