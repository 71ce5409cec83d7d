// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/root_set.h"

#include <algorithm>

#include "tricolor/base/check.h"
#include "tricolor/base/mutex.h"

namespace tricolor::runtime {

void RootSet::AddRange(AddrRange range) {
  TRICOLOR_CHECK(!range.empty(), "an empty range of roots at %p",
                 range.base.pointer());
  MutexLock lock(roots_.mutex());
  for (const AddrRange& r : ranges_) {
    TRICOLOR_CHECK(r.base != range.base,
                   "a range of roots at %p exists already",
                   range.base.pointer());
  }
  ranges_.push_back(range);
}

void RootSet::RemoveRange(Addr base) {
  MutexLock lock(roots_.mutex());
  const auto removed = std::erase_if(
      ranges_, [base](const AddrRange& r) { return r.base == base; });
  TRICOLOR_CHECK(removed == 1, "no range of roots begins at %p",
                 base.pointer());
}

void RootSet::ListStacks() {
  world_.stopped().Assert();
  stack_jobs_.clear();
  if (!scan_stacks_) return;
  world_.ForEachMutator([this](const MutatorContext& m) {
    world_.stopped().Assert();
    stack_jobs_.push_back(&m.stack);
  });
}

size_t RootSet::PrepareRoots() {
  world_.stopped().Assert();
  roots_.mutex().AssertHeld();
  block_jobs_.clear();
  for (const RootBlock* b = roots_.blocks(); b != nullptr; b = b->next) {
    block_jobs_.push_back(b);
  }
  range_jobs_.clear();
  for (const AddrRange& range : ranges_) {
    // Cut between words, for each job looks at whole words of its own.
    for (Addr base = range.base.AlignUp(sizeof(uint64_t)); base < range.limit;
         base += kRangeJob) {
      range_jobs_.push_back({base, std::min(base + kRangeJob, range.limit)});
    }
  }
  return stack_jobs_.size() + block_jobs_.size() + range_jobs_.size();
}

void RootSet::MarkRoots(size_t job, gc::MarkWorker& worker) {
  world_.stopped().Assert();
  if (job < stack_jobs_.size()) {
    ScanStack(*stack_jobs_[job], worker);
    return;
  }
  job -= stack_jobs_.size();
  if (job < block_jobs_.size()) {
    RootTable::MarkBlock(*block_jobs_[job], worker);
    return;
  }
  ScanUnsynchronized(range_jobs_[job - block_jobs_.size()], worker);
}

}  // namespace tricolor::runtime
