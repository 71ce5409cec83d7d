// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// In how many parts is kept what all processors use and write to.

#ifndef TRICOLOR_MHEAP_SHARDS_H_
#define TRICOLOR_MHEAP_SHARDS_H_

#include <cstdint>

namespace tricolor::mheap {

inline constexpr uint32_t kShards = 16;

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SHARDS_H_
