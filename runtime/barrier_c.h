/* Copyright 2026 The Tricolor Authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The write barrier for C: interpreters that keep heap pointers in memory of
 * their own layout, and the code that a JIT compiles. Before each store of a
 * pointer into a heap object, on a managed thread, with no safepoint (no
 * allocation, no scope) between the barrier and the store, which is one aligned
 * word and a release. docs/barrier.md says what a JIT emits.
 *
 * Go counterpart: gcWriteBarrier and the flag that compiled code tests. Cost
 * when no heap of the process marks: a load and a branch. C++ has the flag and
 * the inline forms in write_barrier.h.
 */

#ifndef TRICOLOR_RUNTIME_BARRIER_C_H_
#define TRICOLOR_RUNTIME_BARRIER_C_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The slow halves, right at any time and needed while tricolor_marking_heaps is
 * not 0. Pointers may be null or lie anywhere. */
void tricolor_record_store(const void* old_value, const void* new_value);
/* Of the n words from `slots` on, which are about to be replaced by the n from
 * `values` on; null: by null pointers. The two may overlap. */
void tricolor_record_stores(const void* slots, const void* values, size_t n);
/* Arrays of n pointer fields, with the barrier: these words replace those,
 * which may overlap; null pointers replace these. Each is stored atomically, in
 * no promised order. No safepoint in between: do very large arrays in pieces.
 */
void tricolor_move_pointers(void** to, void* const* from, size_t n);
void tricolor_clear_pointers(void** slots, size_t n);
/* Around a barrier for several stores and those stores, for who makes them
 * himself: no signal stops the thread in between. They nest. */
void tricolor_begin_no_preempt(void);
void tricolor_end_no_preempt(void);

#ifdef __cplusplus
} /* extern "C" */
#else

/* How many heaps mark. Read it at each store, relaxed. It changes only while
 * all threads of such a heap are stopped. */
extern uint32_t tricolor_marking_heaps;

static inline int tricolor_any_heap_marks(void) {
  return __builtin_expect(
      __atomic_load_n(&tricolor_marking_heaps, __ATOMIC_RELAXED) != 0, 0);
}

/* Before new_value replaces old_value. */
static inline void tricolor_write_barrier(const void* old_value,
                                          const void* new_value) {
  if (tricolor_any_heap_marks()) tricolor_record_store(old_value, new_value);
}

/* Before stores to an array that the caller makes himself (values null: that
 * clear it); barrier and stores stand between tricolor_begin_no_preempt and
 * tricolor_end_no_preempt. */
static inline void tricolor_write_barriers(const void* slots,
                                           const void* values, size_t n) {
  if (tricolor_any_heap_marks()) tricolor_record_stores(slots, values, n);
}

/* The barrier and the store. */
static inline void tricolor_store_pointer(void** slot, void* value) {
  tricolor_write_barrier(__atomic_load_n(slot, __ATOMIC_RELAXED), value);
  __atomic_store_n(slot, value, __ATOMIC_RELEASE);
}

/* Replaces a pointer, sequentially consistent. Returns what was there. */
static inline void* tricolor_exchange_pointer(void** slot, void* value) {
  tricolor_write_barrier(__atomic_load_n(slot, __ATOMIC_RELAXED), value);
  return __atomic_exchange_n(slot, value, __ATOMIC_SEQ_CST);
}

/* Replaces *expected by desired, sequentially consistent. Not 0: done; 0:
 * *expected is what is there instead. */
static inline int tricolor_compare_exchange_pointer(void** slot,
                                                    void** expected,
                                                    void* desired) {
  tricolor_write_barrier(*expected, desired);
  return __atomic_compare_exchange_n(slot, expected, desired, /*weak=*/0,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif

#endif /* TRICOLOR_RUNTIME_BARRIER_C_H_ */
