// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/span_set.h"

#include <cstdint>
#include <thread>

#include "tricolor/base/pause.h"
#include "tricolor/mheap/span_set-inl.h"

namespace tricolor::mheap {
namespace {

// A store that follows its claim at once arrives long before this.
constexpr uint32_t kSpins = 128;

}  // namespace

// A pusher that is off its processor needs one to go on.
void SpanSetTraits::Wait(uint32_t attempt) {
  if (attempt < kSpins) {
    PauseCpu();
  } else {
    std::this_thread::yield();
  }
}

template class BasicSpanSetBlockPool<SpanSetTraits>;
template class BasicSpanSet<SpanSetTraits>;

}  // namespace tricolor::mheap
