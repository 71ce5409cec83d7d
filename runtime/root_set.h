// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// RootSet: what the marker starts from, as jobs that workers claim one by one:
// the stack of each mutator (unless the heap is exact), each block of Root
// slots, and each 256 KiB of the registered ranges.
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
#include "tricolor/runtime/root_table.h"
#include "tricolor/runtime/stack_scan.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

class RootSet final : public gc::RootSource {
 public:
  static constexpr ByteCount kRangeJob{256 << 10};

  RootSet(World& world, RootTable& roots, bool scan_stacks)
      : world_(world), roots_(roots), scan_stacks_(scan_stacks) {}

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
  World& world_;
  RootTable& roots_;
  const bool scan_stacks_;
  std::vector<AddrRange> ranges_ ABSL_GUARDED_BY(roots_.mutex());

  // The jobs of the running cycle.
  std::vector<const StackSnapshot*> stack_jobs_
      ABSL_GUARDED_BY(world_.stopped());
  std::vector<const RootBlock*> block_jobs_ ABSL_GUARDED_BY(world_.stopped());
  std::vector<AddrRange> range_jobs_ ABSL_GUARDED_BY(world_.stopped());
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_ROOT_SET_H_
