// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Reachability in a model's graph, whose objects have numbers, and 0 is none.
//
// Test-only. A pure function.

#ifndef TRICOLOR_FUZZ_REACHABILITY_H_
#define TRICOLOR_FUZZ_REACHABILITY_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

namespace tricolor::fuzz {

// What can be reached from `ids`, they themselves first, each once.
// `for_targets(id, add)` calls add with each object that `id` points to.
template <typename ForTargets>
std::vector<uint32_t> ReachableFrom(const std::vector<uint32_t>& ids,
                                    const ForTargets& for_targets) {
  std::set<uint32_t> seen;
  std::vector<uint32_t> queue;
  const auto add = [&](uint32_t id) {
    if (id != 0 && seen.insert(id).second) queue.push_back(id);
  };
  for (const uint32_t id : ids) add(id);
  for (size_t i = 0; i < queue.size(); ++i) for_targets(queue[i], add);
  return queue;
}

}  // namespace tricolor::fuzz

#endif  // TRICOLOR_FUZZ_REACHABILITY_H_
