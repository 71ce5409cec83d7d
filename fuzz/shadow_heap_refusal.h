// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a ShadowHeap's operations have around a call that may need memory.

#ifndef TRICOLOR_FUZZ_SHADOW_HEAP_REFUSAL_H_
#define TRICOLOR_FUZZ_SHADOW_HEAP_REFUSAL_H_

#include <cstdint>
#include <utility>

#include "tricolor/fuzz/shadow_heap.h"

namespace tricolor::fuzz {

class ShadowHeap::Refusal {
 public:
  explicit Refusal(ShadowHeap& heap) {
    const uint32_t call = std::exchange(heap.refused_call_, 0);
    if (call == 0 || heap.os_ == nullptr) return;
    os_ = heap.os_.get();
    os_->FailFrom(call);
  }
  ~Refusal() {
    if (os_ != nullptr) os_->StopFailing();
  }
  Refusal(const Refusal&) = delete;
  Refusal& operator=(const Refusal&) = delete;

 private:
  FakeOsMemory* os_ = nullptr;  // that refuses
};

}  // namespace tricolor::fuzz

#endif  // TRICOLOR_FUZZ_SHADOW_HEAP_REFUSAL_H_
