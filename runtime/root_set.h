// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// RootSet: what the marker starts from beside the stacks. Jobs that workers
// claim one by one while the program runs: each block of Root slots, the
// objects whose finalizers are due, and what objects with a finalizer point to
// (they may have to live on for it, but are not marked for having one). And the
// registered ranges, which have no barrier: their words are copied when marking
// begins, when a stack has been scanned, and when marking ends.
//
// Go counterpart: markroot and its kinds of jobs in mgcmark.go.
// Ranges: thread-safe. The gc::RootSource: the cycle's.

#ifndef TRICOLOR_RUNTIME_ROOT_SET_H_
#define TRICOLOR_RUNTIME_ROOT_SET_H_

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/bits.h"
#include "tricolor/base/units.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/runtime/cleanup_queue.h"
#include "tricolor/runtime/mark_verifier.h"
#include "tricolor/runtime/root_table.h"
#include "tricolor/runtime/stopped_memory.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

class RootSet final : public gc::RootSource, public StackScanHook {
 public:
  // `check_cleanups`: before each cycle.
  RootSet(mheap::MHeap& heap, RootTable& roots, CleanupQueue& cleanups,
          bool check_cleanups)
      : heap_(heap),
        roots_(roots),
        cleanups_(cleanups),
        check_cleanups_(check_cleanups) {}

  // Fatal when empty, or when a range begins there already.
  void AddRange(AddrRange range);
  // Fatal when no range begins there.
  void RemoveRange(Addr base);

  // World stopped, while a cycle marks, with the root table's mutex: hands the
  // words of the ranges over. Returns their number.
  size_t ShadeRanges();
  // With the root table's mutex.
  template <typename Visit>
  void ForEachRange(Visit visit) const {
    roots_.mutex().AssertHeld();
    for (const AddrRange& range : ranges_) visit(range);
  }
  // World stopped: gives what is a root for finalizers' sake.
  void AddFinalizersTo(MarkVerifier& verifier) const;
  // StackScanHook: hands the ranges over once more. What the thread has stored
  // there from its stack, before that was scanned, is only there now.
  void StackScanned() override;
  // gc::RootSource: when the cycle begins, world stopped; then from its
  // workers.
  size_t PrepareRoots() override;
  void MarkRoots(size_t job, gc::MarkWorker& worker) override;

 private:
  // 64-page words of the heap that are one job.
  static constexpr uint64_t kFinalizerJob = 16;

  // Calls visit(span, index) for each object with a finalizer in the 64 pages
  // of each of the words [first_word, end_word). While no span is swept.
  template <typename Visit>
  void ForEachFinalizable(uint64_t first_word, uint64_t end_word,
                          const Visit& visit) const;
  template <typename Visit>
  void ForEachSpanWithSpecials(uint64_t first_word, uint64_t end_word,
                               const Visit& visit) const;

  mheap::MHeap& heap_;
  RootTable& roots_;
  CleanupQueue& cleanups_;
  const bool check_cleanups_;
  std::pmr::vector<AddrRange> ranges_ ABSL_GUARDED_BY(roots_.mutex()){
      StoppedMemory()};
  Atomic<size_t> range_count_;  // written under the mutex
  // The jobs of the running cycle: the blocks that there were when it began.
  // Slots of newer blocks hold what the barrier has recorded.
  std::pmr::vector<const RootBlock*> block_jobs_{StoppedMemory()};
  // And one for due finalizers, and those for objects with finalizers.
};

// The span's specials are not kept locked meanwhile: scanning an object may
// need memory.
template <typename Visit>
void RootSet::ForEachFinalizable(uint64_t first_word, uint64_t end_word,
                                 const Visit& visit) const {
  constexpr uint32_t kBatch = 64;
  uint32_t indices[kBatch];
  ForEachSpanWithSpecials(first_word, end_word, [&](mheap::MSpan& span) {
    uint32_t found = 0;
    for (uint32_t first = 0;; first = indices[found - 1] + 1) {
      found = heap_.FinalizableObjects(span, first, indices, kBatch);
      for (uint32_t i = 0; i < found; ++i) visit(span, indices[i]);
      if (found < kBatch) return;
    }
  });
}

template <typename Visit>
void RootSet::ForEachSpanWithSpecials(uint64_t first_word, uint64_t end_word,
                                      const Visit& visit) const {
  for (uint64_t i = first_word; i < end_word; ++i) {
    // Acquire, pairs with MHeap::SetSpecialsBit.
    uint64_t bits = heap_.page_specials_word(i).LoadAcquire();
    for (; bits != 0; bits &= bits - 1) {
      const PageCount page(i * 64 +
                           static_cast<uint64_t>(CountTrailingZeros(bits)));
      mheap::MSpan* span = heap_.SpanOf(heap_.base() + BytesOf(page));
      if (span != nullptr) visit(*span);
    }
  }
}

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_ROOT_SET_H_
