// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/write_barrier.h"

#include "tricolor/base/units.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

// A thread attached to several heaps has a buffer in each, which passes over
// the pointers of the others.
void RecordStore(const void* old_value, const void* new_value) {
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    if (m->marking) m->Shade(old_value, new_value);
  }
}

}  // namespace tricolor::runtime
