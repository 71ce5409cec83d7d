// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// RootSet: what the marker starts from, as jobs that workers claim one by one:
// the stack of each mutator (unless the heap is exact), each block of Root
// slots, each 256 KiB of the registered ranges, the objects whose finalizers
// are due, and what objects with a finalizer point to: they may have to live on
// for it, but are not marked for having one.
//
// Go counterpart: markroot and its kinds of jobs in mgcmark.go.
// Ranges: thread-safe. The gc::RootSource: world stopped only.

#ifndef TRICOLOR_RUNTIME_ROOT_SET_H_
#define TRICOLOR_RUNTIME_ROOT_SET_H_

#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/units.h"
#include "tricolor/gc/marker.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/runtime/cleanup_queue.h"
#include "tricolor/runtime/root_table.h"
#include "tricolor/runtime/stack_scan.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

class RootSet final : public gc::RootSource {
 public:
  static constexpr ByteCount kRangeJob{256 << 10};

  struct Options {
    bool scan_stacks = true;
    bool check_cleanups = false;  // before each cycle
  };

  RootSet(mheap::MHeap& heap, World& world, RootTable& roots,
          CleanupQueue& cleanups, const Options& options)
      : heap_(heap),
        world_(world),
        roots_(roots),
        cleanups_(cleanups),
        options_(options) {}

  // Fatal when empty, or when a range begins there already.
  void AddRange(AddrRange range);
  // Fatal when no range begins there.
  void RemoveRange(Addr base);

  // World stopped, before a cycle marks: notes the stacks of all mutators.
  void ListStacks();
  // gc::RootSource, for a cycle's thread that has stopped the world and holds
  // the root table's mutex, and its helpers.
  size_t PrepareRoots() override;
  void MarkRoots(size_t job, gc::MarkWorker& worker) override;

 private:
  // 64-page words of the heap that are one job.
  static constexpr uint64_t kFinalizerJob = 16;

  void MarkFromFinalizers(uint64_t first_word, gc::MarkWorker& worker);
  void MarkFromFinalizersOf(mheap::MSpan& span, gc::MarkWorker& worker);

  mheap::MHeap& heap_;
  World& world_;
  RootTable& roots_;
  CleanupQueue& cleanups_;
  const Options options_;
  std::vector<AddrRange> ranges_ ABSL_GUARDED_BY(roots_.mutex());

  // The jobs of the running cycle.
  std::vector<const StackSnapshot*> stack_jobs_
      ABSL_GUARDED_BY(world_.stopped());
  std::vector<const RootBlock*> block_jobs_ ABSL_GUARDED_BY(world_.stopped());
  std::vector<AddrRange> range_jobs_ ABSL_GUARDED_BY(world_.stopped());
  // And one for due finalizers, and those for objects with finalizers.
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_ROOT_SET_H_
