// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/processor.h"

#include <utility>

#include "tricolor/base/check.h"

namespace tricolor::runtime {

ProcessorPool::~ProcessorPool() {
  for (Processor* p = all_; p != nullptr;) {
    TRICOLOR_CHECK(!p->active_, "processor %p is in use at the heap's end",
                   static_cast<void*>(p));
    delete std::exchange(p, p->next_);
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
    auto* made = new Processor(parts_);
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
