/* Copyright 2026 The Tricolor Authors
 * SPDX-License-Identifier: Apache-2.0 */

#include "tricolor/runtime/barrier_c_client.h"

#include "tricolor/runtime/barrier_c.h"

int client_any_heap_marks(void) { return tricolor_any_heap_marks(); }

void client_store(void** slot, void* value) {
  tricolor_store_pointer(slot, value);
}

void* client_exchange(void** slot, void* value) {
  return tricolor_exchange_pointer(slot, value);
}

int client_compare_exchange(void** slot, void** expected, void* desired) {
  return tricolor_compare_exchange_pointer(slot, expected, desired);
}

void client_move(void** to, void* const* from, size_t n) {
  tricolor_move_pointers(to, from, n);
}

void client_clear(void** slots, size_t n) { tricolor_clear_pointers(slots, n); }

void client_copy_by_hand(void** to, void* const* from, size_t n) {
  size_t i;
  tricolor_begin_no_preempt();
  tricolor_write_barriers(to, from, n);
  for (i = 0; i < n; ++i) {
    __atomic_store_n(&to[i], from[i], __ATOMIC_RELEASE);
  }
  tricolor_end_no_preempt();
}

void client_clear_by_hand(void** slots, size_t n) {
  size_t i;
  tricolor_begin_no_preempt();
  tricolor_write_barriers(slots, NULL, n);
  for (i = 0; i < n; ++i) {
    __atomic_store_n(&slots[i], NULL, __ATOMIC_RELAXED);
  }
  tricolor_end_no_preempt();
}
