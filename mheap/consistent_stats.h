// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Statistics that many processors change and anybody may read at any time,
// without stopping anyone. All changes made in one StatsSection become visible
// together, and with them whatever was changed before them (INV-MHEAP-CUT).
// Each writer has the changes of two generations, and a sequence word that is
// odd within a section; docs/mheap.md, "Statistics", has the protocol.
//
// Go counterpart: consistentHeapStats in mstats.go; its third record is total_.
// ConsistentStats is thread-safe, a StatsWriter thread-compatible. A section
// costs one atomic read-modify-write of the writer's own cache line.

#ifndef TRICOLOR_MHEAP_CONSISTENT_STATS_H_
#define TRICOLOR_MHEAP_CONSISTENT_STATS_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/lock_rank.h"
#include "tricolor/base/mutex.h"
#include "tricolor/mheap/heap_stats.h"

namespace tricolor::mheap {

// One writer's changes. Used by one thread at a time while attached.
class ABSL_CACHELINE_ALIGNED StatsWriter {
 public:
  StatsWriter() = default;
  // Must not be attached.
  ~StatsWriter();
  StatsWriter(const StatsWriter&) = delete;
  StatsWriter& operator=(const StatsWriter&) = delete;

 private:
  friend class ConsistentStats;
  friend class StatsSection;

  // Of a writer that nobody has attached: as if it were always in a section.
  static constexpr uint32_t kDetached = 1;

  // Seq_cst, both: see ConsistentStats::Read.
  HeapStats& Enter() {
    const uint32_t before = sequence_.FetchAddSeqCst(1);
    if (ABSL_PREDICT_FALSE(before % 2 != 0)) ReportMisuse(before);
    return changes_[generation_->LoadSeqCst()];
  }
  // Release, pairs with AwaitSectionEnd: the changes are there.
  void Leave() { sequence_.StoreRelease(sequence_.LoadRelaxed() + 1); }
  // Returns when the section that the writer is in, if any, has ended. It may
  // have entered another one.
  void AwaitSectionEnd() const;
  [[noreturn]] void ReportMisuse(uint32_t sequence) const;

  Atomic<uint32_t> sequence_{kDetached};
  const Atomic<uint32_t>* generation_ = nullptr;  // null: not attached
  StatsWriter* next_ = nullptr;  // guarded by the mutex of ConsistentStats
  HeapStats changes_[2];
};

// While one lives, changes belong together. Nothing in it may block: no lock,
// no call of the OS, no safepoint, for a reader may be waiting; nor may it read
// the statistics, or open a second section of the same writer (fatal).
class StatsSection {
 public:
  explicit StatsSection(StatsWriter& writer)
      : writer_(writer), changes_(writer.Enter()) {}
  ~StatsSection() { writer_.Leave(); }
  StatsSection(const StatsSection&) = delete;
  StatsSection& operator=(const StatsSection&) = delete;

  HeapStats& operator*() { return changes_; }
  HeapStats* operator->() { return &changes_; }

 private:
  StatsWriter& writer_;
  HeapStats& changes_;
};

class ConsistentStats {
 public:
  ConsistentStats() = default;
  // All writers have been released.
  ~ConsistentStats();
  ConsistentStats(const ConsistentStats&) = delete;
  ConsistentStats& operator=(const ConsistentStats&) = delete;

  void Attach(StatsWriter& writer);
  // Keeps its changes. The writer is in no section.
  void Release(StatsWriter& writer);

  // The sum of all changes, as of some moment of the call. Waits for sections
  // that writers are in, and for other readers.
  HeapStats Read();

 private:
  // Of the changes that sections now make. Read by each section, and stored by
  // readers; the rest of the object keeps off its cache line.
  ABSL_CACHELINE_ALIGNED Atomic<uint32_t> generation_;

  ABSL_CACHELINE_ALIGNED Mutex mutex_{LockRank::kHeapStats};
  StatsWriter* writers_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // Changes of past generations, and of departed writers.
  HeapStats total_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_CONSISTENT_STATS_H_
