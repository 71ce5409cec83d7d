// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// HugeChunks: which 4 MiB chunks of a heap are of huge pages. Those beyond the
// first `from` bytes are, but for the split ones: a chunk is split when a part
// of it is given back to the OS, which would otherwise fill the part again with
// memory to make a huge page whole. It is joined when it is empty or dense.
// The reasons, in numbers: docs/mheap.md, "Huge pages".
//
// Go counterpart: sysHugePage and sysNoHugePage in mgcscavenge.go as of 1.21.
// Guarded by the heap lock. It only decides; the calls are the heap's.
// INV-MHEAP-HUGE: split_runs() is the number of runs of split chunks.

#ifndef TRICOLOR_MHEAP_HUGE_CHUNKS_H_
#define TRICOLOR_MHEAP_HUGE_CHUNKS_H_

#include <cstdint>

#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/units.h"

namespace tricolor::mheap {

// What the OS is to be told of a chunk.
enum class HugePageAdvice : uint8_t { kNone, kHuge, kSmall };

class HugeChunks {
 public:
  static constexpr uint64_t kNone = UINT64_MAX;
  // Each run of split chunks makes up to two more mappings of the process,
  // which the system limits (Linux: to 65530).
  static constexpr uint64_t kMostSplitRuns = 4096;

  // `split` off: no chunk is ever split. `memory` outlives the object.
  HugeChunks(PersistentAlloc& memory, ByteCount from, bool split);
  HugeChunks(const HugeChunks&) = delete;
  HugeChunks& operator=(const HugeChunks&) = delete;

  // Once, before any other call: how many chunks the heap may come to have.
  void Init(uint64_t chunks) { chunks_ = chunks; }

  // Whether a chunk is to have huge pages unless it is split.
  bool Wants(uint64_t chunk) const { return chunk >= first_; }
  uint64_t first() const { return first_; }  // that is to have them
  bool IsSplit(uint64_t chunk) const;

  // A part of the chunk is about to be released, after which the chunk is
  // `empty` (free and released as a whole) or not. kSmall: before the release;
  // the chunk is split. kHuge: when the release has succeeded, with Join.
  HugePageAdvice BeforeRelease(uint64_t chunk, bool empty);
  // Whether the chunk is split, and need not stay so for the limit's sake: in
  // the middle of a run, it would make two of it.
  bool MayJoin(uint64_t chunk) const;
  // The chunk, which is split, is not any more.
  void Join(uint64_t chunk);
  // The first split chunk from `chunk` on; kNone when there is none.
  uint64_t NextSplit(uint64_t chunk) const;

  uint64_t split_runs() const { return split_runs_; }
  // Fatal unless INV-MHEAP-HUGE holds.
  void CheckInvariants() const;

 private:
  bool CanSplit(uint64_t chunk);
  // Runs that a run's end at `chunk` makes or ends: 1 less those beside it.
  int64_t RunsAt(uint64_t chunk) const;

  PersistentAlloc& memory_;
  uint64_t chunks_ = 0;
  const uint64_t first_;
  const bool split_;
  uint64_t split_runs_ = 0;
  // One a chunk: it is split. Null until the first one is.
  uint64_t* bits_ = nullptr;
  uint64_t split_limit_ = 0;  // above all words with a bit
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_HUGE_CHUNKS_H_
