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
/* Arrays of n pointers. */
void client_copy(void** to, void* const* from, size_t n);
void client_clear(void** slots, size_t n);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* TRICOLOR_RUNTIME_BARRIER_C_CLIENT_H_ */
