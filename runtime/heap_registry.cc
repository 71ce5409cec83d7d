// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/heap_registry.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {
namespace {

// The version is odd while the entry is being changed. A reader that finds the
// same even version before and after has read fields that belong together:
// without it the range of one heap and the owner of the next user of the entry
// could be taken for each other's.
struct Entry {
  Atomic<uint64_t> version;
  Atomic<uint64_t> base;
  Atomic<uint64_t> limit;
  Atomic<HeapCore*> core;
};

constinit Entry entries[HeapRegistry::kMaxHeaps];
// Entries from here on are free. A reader knows its heap's Add to have come
// before, so that even an old value of this is beyond that heap's entry.
constinit Atomic<size_t> entries_used;
constinit Mutex registry_mutex(LockRank::kRegistry);

void Write(Entry& entry, HeapCore* core, AddrRange range)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(registry_mutex) {
  const uint64_t version = entry.version.LoadRelaxed();
  entry.version.StoreRelaxed(version + 1);
  // Release, each: who reads one of them finds the odd version too.
  entry.base.StoreRelease(range.base.value());
  entry.limit.StoreRelease(range.limit.value());
  entry.core.StoreRelease(core);
  entry.version.StoreRelease(version + 2);
}

// The entry's heap if `p` is in its range, else null. An entry that changes
// meanwhile is not that of a heap which the caller knows to live.
HeapCore* Read(const Entry& entry, uint64_t p) {
  const uint64_t version = entry.version.LoadAcquire();
  const uint64_t base = entry.base.LoadAcquire();
  const uint64_t limit = entry.limit.LoadAcquire();
  HeapCore* core = entry.core.LoadAcquire();
  if (p < base || p >= limit || version % 2 != 0) return nullptr;
  return entry.version.LoadRelaxed() == version ? core : nullptr;
}

}  // namespace

bool HeapRegistry::Add(HeapCore* core, AddrRange range) {
  const ThreadNativeScope native;
  MutexLock lock(registry_mutex);
  const size_t used = entries_used.LoadRelaxed();
  size_t i = 0;
  while (i < used && entries[i].core.LoadRelaxed() != nullptr) ++i;
  if (i == kMaxHeaps) return false;
  Write(entries[i], core, range);
  entries_used.StoreRelease(std::max(used, i + 1));
  return true;
}

void HeapRegistry::Remove(HeapCore* core) {
  const ThreadNativeScope native;
  MutexLock lock(registry_mutex);
  size_t used = entries_used.LoadRelaxed();
  for (size_t i = 0; i < used; ++i) {
    if (entries[i].core.LoadRelaxed() == core) Write(entries[i], nullptr, {});
  }
  while (used != 0 && entries[used - 1].core.LoadRelaxed() == nullptr) --used;
  entries_used.StoreRelease(used);
}

HeapCore* HeapRegistry::Find(const void* p) {
  const uint64_t address = Addr(p).value();
  const size_t used = entries_used.LoadAcquire();
  for (size_t i = 0; i < used; ++i) {
    if (HeapCore* core = Read(entries[i], address)) return core;
  }
  return nullptr;
}

void HeapRegistry::LockForFork() { registry_mutex.LockForFork(); }
void HeapRegistry::UnlockAfterFork() { registry_mutex.UnlockAfterFork(); }
size_t HeapRegistry::Entries() { return entries_used.LoadRelaxed(); }
HeapCore* HeapRegistry::At(size_t i) { return entries[i].core.LoadRelaxed(); }

}  // namespace tricolor::runtime
