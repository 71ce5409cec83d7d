// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/processor.h"

#include <new>

#include "tricolor/base/check.h"
#include "tricolor/runtime/stopped_memory.h"

namespace tricolor::runtime {

ProcessorPool::~ProcessorPool() {
  for (Processor* p = all_; p != nullptr;) {
    TRICOLOR_CHECK(!p->active_, "processor %p is in use at the heap's end",
                   static_cast<void*>(p));
    Processor* const next = p->next_;
    p->~Processor();
    StoppedMemory()->deallocate(p, sizeof(Processor), alignof(Processor));
    p = next;
  }
}

AllocationSampler* ProcessorPool::SetSampling(
    const mcache::Sampling& sampling) {
  AllocationSampler* before = sampling_.sampler;
  sampling_ = sampling;
  ForEach([this](Processor& p) { StartSampling(p); });
  return before;
}

void ProcessorPool::StartSampling(Processor& processor) {
  ++sampling_.seed;
  processor.cache().SetSampling(sampling_);
}

Processor* ProcessorPool::Take() {
  if (idle_ == nullptr) {
    // Not malloc, whose locks an interrupted thread may hold: the world's mutex
    // is held here, without which that thread is never let go.
    auto* made =
        new (StoppedMemory()->allocate(sizeof(Processor), alignof(Processor)))
            Processor(parts_);
    if (sampling_.sampler != nullptr) StartSampling(*made);
    made->next_ = all_;
    all_ = made;
    return made;
  }
  Processor* taken = idle_;
  idle_ = taken->next_idle_;
  taken->next_idle_ = nullptr;
  taken->Activate();
  return taken;
}

void ProcessorPool::Put(Processor* processor) {
  TRICOLOR_CHECK(!processor->active_, "processor %p is put back in use",
                 static_cast<void*>(processor));
  processor->next_idle_ = idle_;
  idle_ = processor;
}

}  // namespace tricolor::runtime
