// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The cache's side of the heap profiler.

#include <algorithm>
#include <cstddef>

#include "tricolor/mcache/mcache.h"
#include "tricolor/mcache/slot_type.h"

namespace tricolor::mcache {

using mheap::SpanClass;

void MCache::SetSampling(const Sampling& sampling) {
  PrepareForSweep();
  const Tail tail = allocate_black_ ? Tail::kLeaveAllocated : Tail::kReturn;
  for (int i = 0; i < mheap::kSpanClasses; ++i) {
    if (spans_[i] == nullptr) continue;
    EndRun(SpanClass::FromIndex(static_cast<uint8_t>(i)), tail);
  }
  tiny_block_ = 0;
  sampler_ = sampling.sampler;
  sample_points_.Start(sampler_ == nullptr ? 0 : sampling.rate, sampling.seed);
}

void MCache::Report(void* object, size_t bytes, const TypeInfo* type) {
  sampler_->OnSample({.object = object,
                      .bytes = bytes,
                      .type = type,
                      .rate = sample_points_.rate()});
}

// The type first: the sampler gets an object that is complete.
void MCache::ReportSlot(void* slot, SpanClass span_class,
                        const TypeInfo* type) {
  char* object = static_cast<char*>(slot);
  if (span_class.kind() == mheap::SpanKind::kTypeHeader && type != nullptr) {
    WriteTypeHeader(slot, *type);
    object += std::max(mheap::kTypeHeaderBytes, type->align);
  }
  Report(object, span_class.slot_size(), type);
}

}  // namespace tricolor::mcache
