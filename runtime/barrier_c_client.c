/* Copyright 2026 The Tricolor Authors
 * SPDX-License-Identifier: Apache-2.0 */

#include "tricolor/runtime/barrier_c_client.h"

#include "tricolor/runtime/barrier_c.h"

int client_any_heap_marks(void) { return tricolor_any_heap_marks(); }

void client_store(void** slot, void* value) {
  tricolor_store_pointer(slot, value);
}

void client_copy(void** to, void* const* from, size_t n) {
  size_t i;
  tricolor_write_barriers(to, from, n);
  for (i = 0; i < n; ++i) {
    __atomic_store_n(&to[i], from[i], __ATOMIC_RELEASE);
  }
}

void client_clear(void** slots, size_t n) {
  size_t i;
  tricolor_write_barriers(slots, NULL, n);
  for (i = 0; i < n; ++i) {
    __atomic_store_n(&slots[i], NULL, __ATOMIC_RELAXED);
  }
}
