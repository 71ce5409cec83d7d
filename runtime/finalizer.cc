// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/finalizer.h"

#include <memory>
#include <new>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/runtime/cleanup_queue.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/heap_registry.h"
#include "tricolor/runtime/no_preempt.h"

namespace tricolor::runtime {
namespace {

HeapCore& HeapOf(const void* object) {
  HeapCore* core = HeapRegistry::Find(object);
  TRICOLOR_CHECK(core != nullptr, "a finalizer of %p, which lies in no heap",
                 object);
  return *core;
}

// The blocks of tiny objects cannot be told from other objects of their class,
// nor a tiny object from one that has a slot of that class to itself.
void CheckNotTiny(const mheap::MSpan& span, const void* object, size_t size) {
  TRICOLOR_CHECK(
      size >= mcache::MCache::kTinySize ||
          span.span_class() != mcache::MCache::kTinyClass,
      "a finalizer of %p, %zu bytes without pointers that may share a block "
      "with other objects; expected %zu bytes or more",
      object, size, mcache::MCache::kTinySize);
}

}  // namespace

bool SetFinalizerCall(const void* object, size_t object_size,
                      std::unique_ptr<CleanupCall> call) {
  const NoPreempt no_preempt;
  HeapCore& core = HeapOf(object);
  if (call == nullptr ||
      !core.PrepareForCall(object, /*finalizer=*/true, *call)) {
    return false;
  }
  bool set = false;
  core.WithSweptSpan(object, [&](mheap::MSpan& span) {
    CheckNotTiny(span, object, object_size);
    set = core.cleanups().SetFinalizer(span, object, call);
    // A cycle that marks now may have passed by the span: it keeps the object,
    // and so what that points to.
    core.roots().Shade(object);
  });
  return set;  // if not, `call` is destroyed now: see WithSweptSpan
}

bool ClearFinalizerOf(const void* object) {
  const NoPreempt no_preempt;
  HeapCore& core = HeapOf(object);
  std::unique_ptr<CleanupCall> dropped;  // destroyed after WithSweptSpan
  const bool done = core.WithSweptSpan(object, [&](mheap::MSpan& span) {
    dropped = core.cleanups().ClearFinalizer(span, object);
  });
  if (!done) throw std::bad_alloc();
  return dropped != nullptr;
}

}  // namespace tricolor::runtime
