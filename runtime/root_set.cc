// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/root_set.h"

#include <algorithm>
#include <bit>
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
  if (!options_.scan_stacks) return;
  world_.ForEachMutator([this](const MutatorContext& m) {
    world_.stopped().Assert();
    stack_jobs_.push_back(&m.stack);
  });
}

size_t RootSet::PrepareRoots() {
  world_.stopped().Assert();
  roots_.mutex().AssertHeld();
  if (options_.check_cleanups) {
    CleanupChecker checker(heap_, roots_);
    cleanups_.CheckCalls(checker);
  }
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
  const size_t finalizer_jobs =
      heap_.finalizers() == 0
          ? 0
          : DivideRoundUp(heap_.page_words(), kFinalizerJob);
  return stack_jobs_.size() + block_jobs_.size() + range_jobs_.size() + 1 +
         finalizer_jobs;
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
  job -= block_jobs_.size();
  if (job < range_jobs_.size()) {
    ScanUnsynchronized(range_jobs_[job], worker);
    return;
  }
  job -= range_jobs_.size();
  if (job == 0) {
    cleanups_.MarkDue(worker);
  } else {
    MarkFromFinalizers((job - 1) * kFinalizerJob, worker);
  }
}

// The span's specials are not kept locked while objects are scanned: scanning
// may need memory.
void RootSet::MarkFromFinalizers(uint64_t first_word, gc::MarkWorker& worker) {
  const uint64_t end = std::min(first_word + kFinalizerJob, heap_.page_words());
  for (uint64_t i = first_word; i < end; ++i) {
    // Acquire, pairs with MHeap::SetSpecialsBit.
    uint64_t bits = heap_.page_specials_word(i).LoadAcquire();
    for (; bits != 0; bits &= bits - 1) {
      const uint64_t page =
          i * 64 + static_cast<uint64_t>(std::countr_zero(bits));
      mheap::MSpan* span =
          heap_.SpanOf(heap_.base() + BytesOf(PageCount(page)));
      if (span != nullptr) MarkFromFinalizersOf(*span, worker);
    }
  }
}

void RootSet::MarkFromFinalizersOf(mheap::MSpan& span, gc::MarkWorker& worker) {
  constexpr uint32_t kBatch = 64;
  uint32_t indices[kBatch];
  uint32_t found = 0;
  for (uint32_t first = 0;; first = indices[found - 1] + 1) {
    found = heap_.FinalizableObjects(span, first, indices, kBatch);
    for (uint32_t i = 0; i < found; ++i) worker.VisitFieldsOf(span, indices[i]);
    if (found < kBatch) return;
  }
}

}  // namespace tricolor::runtime
