// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/root_set.h"

#include <algorithm>
#include <cstdint>

#include "tricolor/base/bits.h"
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
  range_count_.StoreRelaxed(ranges_.size());
}

void RootSet::RemoveRange(Addr base) {
  MutexLock lock(roots_.mutex());
  const auto removed = std::erase_if(
      ranges_, [base](const AddrRange& r) { return r.base == base; });
  range_count_.StoreRelaxed(ranges_.size());
  TRICOLOR_CHECK(removed == 1, "no range of roots begins at %p",
                 base.pointer());
}

// A thread sees at least the ranges that it has added.
void RootSet::StackScanned() {
  if (range_count_.LoadRelaxed() == 0) return;
  MutexLock lock(roots_.mutex());
  ShadeRanges();
}

size_t RootSet::ShadeRanges() {
  roots_.mutex().AssertHeld();
  size_t words = 0;
  for (const AddrRange& range : ranges_) words += roots_.ShadeRootRange(range);
  return words;
}

size_t RootSet::PrepareRoots() {
  MutexLock lock(roots_.mutex());
  if (check_cleanups_) {
    CleanupChecker checker(heap_, roots_);
    cleanups_.CheckCalls(checker);
  }
  block_jobs_.clear();
  block_jobs_.reserve(roots_.block_count());
  for (const RootBlock* b = roots_.blocks(); b != nullptr; b = b->next) {
    block_jobs_.push_back(b);
  }
  const size_t finalizer_jobs =
      heap_.finalizers() == 0
          ? 0
          : DivideRoundUp(heap_.page_words(), kFinalizerJob);
  return block_jobs_.size() + 1 + finalizer_jobs;
}

void RootSet::MarkRoots(size_t job, gc::MarkWorker& worker) {
  if (job < block_jobs_.size()) {
    RootTable::ForEachPointer(
        *block_jobs_[job],
        [&worker](const void* pointer) { worker.Visit(pointer); });
    return;
  }
  job -= block_jobs_.size();
  if (job == 0) {
    cleanups_.ForEachDue(
        [&worker](const void* object) { worker.Visit(object); });
    return;
  }
  // An object that is given a finalizer later is marked by who does it.
  const uint64_t first = (job - 1) * kFinalizerJob;
  ForEachFinalizable(first, std::min(first + kFinalizerJob, heap_.page_words()),
                     [&worker](mheap::MSpan& span, uint32_t index) {
                       worker.VisitFieldsOf(span, index);
                     });
}

void RootSet::AddFinalizersTo(MarkVerifier& verifier) const {
  cleanups_.ForEachDue(
      [&verifier](const void* object) { verifier.AddRoot(object); });
  ForEachFinalizable(0, heap_.page_words(),
                     [&verifier](mheap::MSpan& span, uint32_t index) {
                       verifier.AddFieldsOf(span, index);
                     });
}

}  // namespace tricolor::runtime
