/* Copyright 2026 The Tricolor Authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What an interpreter in C does with heap pointers, for tests. On a managed
 * thread.
 */

#ifndef TRICOLOR_RUNTIME_BARRIER_C_CLIENT_H_
#define TRICOLOR_RUNTIME_BARRIER_C_CLIENT_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the flag, read in C, says that a heap marks. */
int client_any_heap_marks(void);
void client_store(void** slot, void* value);
void* client_exchange(void** slot, void* value);
int client_compare_exchange(void** slot, void** expected, void* desired);
/* Arrays of n pointers. */
void client_move(void** to, void* const* from, size_t n);
void client_clear(void** slots, size_t n);
/* The same two in loops of the client's own. */
void client_copy_by_hand(void** to, void* const* from, size_t n);
void client_clear_by_hand(void** slots, size_t n);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* TRICOLOR_RUNTIME_BARRIER_C_CLIENT_H_ */
