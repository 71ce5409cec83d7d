// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/cleanup.h"

#include <memory>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/mcache/mcache.h"
#include "tricolor/runtime/cleanup_queue.h"
#include "tricolor/runtime/heap_core.h"
#include "tricolor/runtime/heap_registry.h"
#include "tricolor/runtime/no_preempt.h"

namespace tricolor {

bool Cleanup::Stop() {
  const runtime::NoPreempt no_preempt;
  return queue_ != nullptr && queue_->Stop(*this);
}

namespace runtime {

Cleanup AddCleanupCall(const void* object, std::unique_ptr<CleanupCall> call) {
  const NoPreempt no_preempt;
  HeapCore* core = HeapRegistry::Find(object);
  TRICOLOR_CHECK(core != nullptr, "a cleanup of %p, which lies in no heap",
                 object);
  if (call == nullptr ||
      !core->PrepareForCall(object, /*finalizer=*/false, *call)) {
    return {};
  }
  Cleanup handle;
  core->WithSweptSpan(object, [&](mheap::MSpan& span) {
    handle = core->cleanups().Add(span, object, call);
  });
  return handle;  // if empty, `call` is destroyed now: see WithSweptSpan
}

void FailNullCallable(const void* object) {
  Fatal(
      "a null pointer as the callable of a cleanup or finalizer of %p; "
      "expected one to a function or member",
      object);
}

void CheckCleanupArgument(const void* object, const void* argument) {
  HeapCore* core = HeapRegistry::Find(object);
  if (core == nullptr || argument == nullptr) return;
  const mheap::MSpan* span = core->mheap().HeapSpanOf(Addr(object));
  if (span == nullptr || core->mheap().HeapSpanOf(Addr(argument)) != span) {
    return;
  }
  // Others may share a tiny object's block.
  const bool same =
      span->span_class() == mcache::MCache::kTinyClass
          ? object == argument
          : span->IndexOf(Addr(object)) == span->IndexOf(Addr(argument));
  TRICOLOR_CHECK(!same, "a cleanup of %p whose argument %p points into it",
                 object, argument);
}

}  // namespace runtime
}  // namespace tricolor
