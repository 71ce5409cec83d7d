// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/fork.h"

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/mutex.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/heap_registry.h"
#include "tricolor/runtime/no_preempt.h"
#include "tricolor/runtime/preempt.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

template <typename Visit>
void ForEachHeap(const Visit& visit) {
  for (size_t i = 0; i < HeapRegistry::Entries(); ++i) {
    HeapCore* core = HeapRegistry::At(i);
    if (core != nullptr) visit(*core);
  }
}

// Of all heaps those of one rank, then those of the next: a thread that holds
// one never waits for one of the same rank or before.
void LockAll() {
  for (auto rank = static_cast<uint8_t>(LockRank::kCycle);
       rank <= static_cast<uint8_t>(LockRank::kPacer); ++rank) {
    ForEachHeap([rank](HeapCore& core) {
      core.ForEachMutex([rank](Mutex& mutex) {
        if (mutex.rank() == static_cast<LockRank>(rank)) mutex.LockForFork();
      });
    });
  }
  LockPreemptHandlersForFork();
}

void UnlockAll() {
  UnlockPreemptHandlersAfterFork();
  ForEachHeap([](HeapCore& core) {
    core.ForEachMutex([](Mutex& mutex) { mutex.UnlockAfterFork(); });
  });
}

// Locks come last: a managed thread may hold one that the forking thread then
// waits for, or wait for one that it held, and would not stop.
void Prepare() {
  no_preempt_depth.AddOwned(1);
  for (MutatorContext* m = MutatorsOfThread(); m != nullptr;
       m = m->next_of_thread) {
    if (m->native_scopes++ == 0) tricolor_enter_native(m);
  }
  HeapRegistry::LockForFork();
  ForEachHeap([](HeapCore& core) { core.BeginFork(); });
  ForEachHeap([](HeapCore& core) { core.StopForFork(); });
  LockAll();
}

void InParent() {
  UnlockAll();
  ForEachHeap([](HeapCore& core) { core.EndForkInParent(); });
  HeapRegistry::UnlockAfterFork();
  no_preempt_depth.AddOwned(uint32_t{0} - 1);
}

void InChild() {
  UnlockAll();
  ForEachHeap([](HeapCore& core) { core.EndForkInChild(); });
  HeapRegistry::UnlockAfterFork();
  no_preempt_depth.AddOwned(uint32_t{0} - 1);
}

}  // namespace

void InstallForkHandlers() {
  static const int error = pthread_atfork(&Prepare, &InParent, &InChild);
  TRICOLOR_CHECK(error == 0, "pthread_atfork returns %d", error);
}

}  // namespace tricolor::runtime
