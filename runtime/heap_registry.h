// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// HeapRegistry: all heaps of the process by their address ranges; for Root,
// Weak, AddCleanup and Heap::Of, which are given only a pointer into a heap.
//
// Go counterpart: none; Go has one heap. The one global of the project but for
// the list of a thread's mutators. Find is lock-free; heaps are added and
// removed under a mutex.

#ifndef TRICOLOR_RUNTIME_HEAP_REGISTRY_H_
#define TRICOLOR_RUNTIME_HEAP_REGISTRY_H_

#include <cstddef>

#include "tricolor/base/units.h"

namespace tricolor::runtime {

class HeapCore;

class HeapRegistry {
 public:
  static constexpr size_t kMaxHeaps = 1024;

  // False when there are kMaxHeaps already.
  [[nodiscard]] static bool Add(HeapCore* core, AddrRange range);
  static void Remove(HeapCore* core);

  // The heap whose range contains `p`, or null. The answer stands as long as
  // the caller knows that heap to live: who has a pointer to an object does.
  static HeapCore* Find(const void* p);

  // ---- Handlers of fork(). Held: no heap comes or goes. Who adds or removes
  // one waits in native state.
  static void LockForFork();
  static void UnlockAfterFork();
  // With that lock: the number of entries; the heap of one of them, or null.
  static size_t Entries();
  static HeapCore* At(size_t i);
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_HEAP_REGISTRY_H_
