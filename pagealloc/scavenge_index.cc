// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/scavenge_index.h"

#include <algorithm>

namespace tricolor::pagealloc {

void ScavengeIndex::RaiseLimits() {
  for (uint64_t& limit : limits_) limit = std::max(limit, freed_limit_);
  generation_limit_ = std::max(generation_limit_, freed_limit_);
  freed_limit_ = 0;
}

void ScavengeIndex::NoteSearched(ScavengeMode mode, uint64_t limit) {
  RaiseLimits();
  limits_[static_cast<int>(mode)] = limit;
}

// A chunk that the last generation's searches passed over as dense, and that is
// not dense now, has had pages freed in that generation.
void ScavengeIndex::NextGeneration() {
  RaiseLimits();
  uint64_t& background = limits_[static_cast<int>(ScavengeMode::kBackground)];
  background = std::max(background, generation_limit_);
  generation_limit_ = 0;
  ++generation_;
}

void ScavengeIndex::SetForTest(uint64_t chunk, uint32_t in_use) {
  chunks_[chunk] = ChunkOccupancy();
  NoteAlloc(chunk, in_use);
  NoteFree(chunk, 0, /*may_scavenge=*/true);
}

}  // namespace tricolor::pagealloc
