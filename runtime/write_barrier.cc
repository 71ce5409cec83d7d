// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/write_barrier.h"

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "tricolor/runtime/barrier_c.h"
#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/ptr.h"
#include "tricolor/runtime/ptr_array.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

constinit Atomic<uint32_t> tricolor_marking_heaps;

// C declares it as a uint32_t.
static_assert(std::is_standard_layout_v<Atomic<uint32_t>> &&
              sizeof(Atomic<uint32_t>) == sizeof(uint32_t));

// A thread attached to several heaps has a buffer in each, which passes over
// the pointers of the others.
void RecordStore(const void* old_value, const void* new_value) {
  const NoPreempt no_preempt;
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    if (m->marking) m->Shade(old_value, new_value);
  }
}

// What another thread stores into one of these words after it has been read
// here is that thread's to record, and need not be found.
void RecordStores(const void* slots, const void* values, size_t n) {
  const NoPreempt no_preempt;
  const auto pointer_at = [](const void* words, size_t i) {
    return words == nullptr
               ? nullptr
               : LoadWordRelaxed(static_cast<const void* const*>(words) + i);
  };
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    if (!m->marking) continue;
    for (size_t i = 0; i < n; ++i) {
      m->Shade(pointer_at(slots, i), pointer_at(values, i));
    }
  }
}

}  // namespace tricolor::runtime

extern "C" {

void tricolor_record_store(const void* old_value, const void* new_value) {
  tricolor::runtime::RecordStore(old_value, new_value);
}

void tricolor_record_stores(const void* slots, const void* values, size_t n) {
  tricolor::runtime::RecordStores(slots, values, n);
}

void tricolor_move_pointers(void** to, void* const* from, size_t n) {
  static_assert(sizeof(tricolor::Ptr<void>) == sizeof(void*));
  tricolor::MovePtrs(reinterpret_cast<tricolor::Ptr<void>*>(to),
                     reinterpret_cast<const tricolor::Ptr<void>*>(from), n);
}

void tricolor_clear_pointers(void** slots, size_t n) {
  tricolor::ClearPtrs(reinterpret_cast<tricolor::Ptr<void>*>(slots), n);
}

void tricolor_begin_no_preempt(void) {
  tricolor::runtime::no_preempt_depth.AddOwned(1);
}

void tricolor_end_no_preempt(void) {
  tricolor::runtime::no_preempt_depth.AddOwned(uint32_t{0} - 1);
}

}  // extern "C"
