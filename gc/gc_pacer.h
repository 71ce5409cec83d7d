// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// GcPacer: when a heap's next cycle starts and how hard the program works for
// the one that runs, so that marking ends when the heap is at its goal and has
// taken a quarter of the processors. It has no clock and no thread: times are
// arguments, in nanoseconds of one steady clock (docs/pacing.md).
//
//   idle --StartCycle--> marking --EndCycle--> idle, sweeping --SweepDone-->
//   idle
//
// Go counterpart: gcControllerState in mgcpacer.go. Calls in three groups, see
// below: lock-free from any thread, all orders relaxed; guarded by a mutex;
// world stopped only. Invariants: INV-GC-PACE-1 to -6.

#ifndef TRICOLOR_GC_GC_PACER_H_
#define TRICOLOR_GC_GC_PACER_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "tricolor/base/atomic.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/saturating.h"
#include "tricolor/gc/assist.h"
#include "tricolor/gc/pacing.h"

namespace tricolor::gc {

// What scan work was spent on.
enum class ScanWork : uint8_t { kHeap, kStacks, kGlobals };

struct PacerSettings {
  int gc_percent = 100;  // negative: only the limit
  int64_t memory_limit = INT64_MAX;
  uint64_t min_heap = 4 << 20;  // GoalInputs::min_heap
};

struct CycleStart {
  uint64_t now = 0;
  int processors = 1;
  uint64_t stack_bytes = 0;   // of all threads now
  uint64_t global_bytes = 0;  // registered ranges and Roots now
};

struct CycleEnd {
  uint64_t now = 0;
  // CPU time of the cycle, in nanoseconds.
  uint64_t background_time = 0;  // dedicated and fractional workers
  uint64_t assist_time = 0;
  uint64_t idle_time = 0;  // workers on processors with nothing else to do
  uint64_t marked = 0;     // bytes found live, or allocated meanwhile
  uint64_t overhead = 0;   // GoalInputs::overhead
  uint64_t accounts = 1;   // processors with a LiveAccount
  // Of them, those that have allocated since the last cycle's end.
  uint64_t allocators = 1;
};

// What a cycle came to, for logs and tests.
struct CycleResult {
  uint64_t goal = 0;       // that it was paced to
  uint64_t live = 0;       // when it ended
  uint64_t work = 0;       // scanned
  double utilization = 0;  // share of the processors, without idle workers
  double cons_mark = 0;    // measured; 0: not
};

class GcPacer {
 public:
  explicit GcPacer(const PacerSettings& settings);
  GcPacer(const GcPacer&) = delete;
  GcPacer& operator=(const GcPacer&) = delete;

  // ---- Any thread, at any time; lock-free, concurrent with each other and
  // with what follows.

  // A cache has taken a span (its whole free remainder) or given one back.
  // `scannable`: that of kinds with pointers; `bytes` when it is not known.
  void HeapLiveChanged(int64_t bytes, int64_t scannable) {
    scannable_.FetchAddRelaxed(scannable);
    const auto before = static_cast<uint64_t>(live_.FetchAddRelaxed(bytes));
    const auto live =
        static_cast<int64_t>(before + static_cast<uint64_t>(bytes));
    if (ABSL_PREDICT_TRUE(live < trigger_.LoadRelaxed())) return;
    due_.StoreRelaxed(true);
  }
  // Whether a cycle should start: a hint, one load. False while one marks.
  bool due() const { return due_.LoadRelaxed(); }

  // How much a processor may report ahead of time: see LiveAccount.
  int64_t ahead() const { return ahead_.LoadRelaxed(); }

  // Bytes in objects and in cached free slots.
  uint64_t heap_live() const { return NotNegative(live_); }
  uint64_t goal() const { return goal_.LoadRelaxed(); }
  // UINT64_MAX: none.
  uint64_t trigger() const { return shown_trigger_.LoadRelaxed(); }
  // What the next cycle, or the one that marks, is expected to scan, in bytes.
  uint64_t expected_work() const { return expected_work_.LoadRelaxed(); }
  // Whether the heap has outgrown its goal by a tenth or, where the goal is the
  // memory limit's, at all: then it is time to wait for the cycle's end.
  bool outrun() const { return heap_live() >= most_.LoadRelaxed(); }
  bool marking() const { return marking_.LoadRelaxed(); }
  // Cycles started.
  uint32_t cycle() const { return cycle_.LoadRelaxed(); }
  double cons_mark() const { return cons_mark_.LoadRelaxed(); }

  // While a cycle marks. Workers and assists report what they have scanned.
  void AddWork(ScanWork kind, uint64_t bytes) {
    AddSaturating(work_[static_cast<int>(kind)], bytes);
  }
  uint64_t work_done() const;
  // Background workers' work, for threads to pay with; also goes to AddWork.
  AssistCredit& credit() { return credit_; }
  // Computes the price anew. After refills, and by workers now and then. Two at
  // once may leave the older price, until the next.
  void Revise();
  // The price of allocation: scan work for each byte, positive while a cycle
  // marks, otherwise 0. And its inverse, or 0.
  double work_per_byte() const { return work_per_byte_.LoadRelaxed(); }
  double bytes_per_work() const;
  // AssistCredit::Begin and Finish at the current price.
  uint64_t BeginAssist(AssistAccount& account) {
    return credit_.Begin(account, work_per_byte());
  }
  void FinishAssist(AssistAccount& account, uint64_t done) const {
    AssistCredit::Finish(account, done, work_per_byte());
  }
  // Whether the fractional worker, which has marked for `worked` nanoseconds of
  // this cycle, may go on; asked before each slice of its work.
  bool FractionalMayRun(uint64_t worked, uint64_t now) const;

  // ---- Guarded by a mutex: any thread, at any time.

  // Return the value before.
  int SetGcPercent(int percent);
  int64_t SetMemoryLimit(int64_t bytes);
  int64_t memory_limit() const;
  // What is held besides objects has changed much.
  void SetOverhead(uint64_t bytes);
  // All spans of the last cycle are swept.
  void SweepDone();
  // A cycle could not take place: none is due before the heap in use has grown
  // by a sixteenth, at least by kGrowthToRetry, or the settings change.
  void CycleRefused();

  // ---- World stopped; they take the mutex, too.

  // How many workers the cycle is to have.
  MarkWorkers StartCycle(const CycleStart& start);
  CycleResult EndCycle(const CycleEnd& end);

  static constexpr uint64_t kGrowthToRetry = 1 << 20;
  // While the last cycle's spans are being swept, no cycle starts before so
  // much has been allocated.
  static constexpr uint64_t kSweepDistance = 1 << 20;
  // All accounts together are ahead by at most this share of what may be
  // allocated until the trigger, and each by at most so much.
  static constexpr uint64_t kAheadShare = 32;
  static constexpr uint64_t kMostAhead = 64 << 10;

  // Fatal unless the state is one that INV-GC-PACE-2 to -4 allow.
  void CheckInvariants() const;

  // For handlers of fork() to hold.
  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }

 private:
  // Cycles whose cons/mark ratio counts, besides the last one's.
  static constexpr int kHistory = 4;

  static uint64_t NotNegative(const Atomic<int64_t>& counter) {
    const int64_t value = counter.LoadRelaxed();
    return value < 0 ? 0 : static_cast<uint64_t>(value);
  }
  // Derives goal, trigger and price from the inputs.
  void Commit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetTrigger(uint64_t trigger) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t ExpectedWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  double LearnConsMark(double measured) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CycleResult Measure(const CycleEnd& end) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Written by every refill.
  alignas(64) Atomic<int64_t> live_;
  Atomic<int64_t> scannable_;
  // Compared with by every refill; INT64_MAX while a cycle marks.
  alignas(64) Atomic<int64_t> trigger_;
  Atomic<int64_t> ahead_;
  Atomic<bool> due_;
  Atomic<bool> marking_;
  Atomic<uint32_t> cycle_;
  Atomic<double> work_per_byte_;
  // What Revise goes by, written under the mutex.
  Atomic<uint64_t> goal_;
  Atomic<uint64_t> most_;
  Atomic<uint64_t> hard_goal_;
  Atomic<uint64_t> shown_trigger_;
  Atomic<uint64_t> triggered_;
  Atomic<uint64_t> expected_work_;
  Atomic<uint64_t> most_root_work_;
  Atomic<uint64_t> started_;
  Atomic<double> fractional_;
  Atomic<double> cons_mark_;
  // Written by every worker.
  alignas(64) Atomic<uint64_t> work_[3];
  AssistCredit credit_;

  alignas(64) mutable Mutex mutex_{LockRank::kPacer};
  GoalInputs inputs_ ABSL_GUARDED_BY(mutex_);
  int processors_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t accounts_ ABSL_GUARDED_BY(mutex_) = 1;
  // Scanned by the last cycle.
  uint64_t last_heap_work_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_stack_work_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t globals_ ABSL_GUARDED_BY(mutex_) = 0;
  // No trigger below it; 0 once all is swept.
  uint64_t sweep_floor_ ABSL_GUARDED_BY(mutex_) = 0;
  double history_[kHistory] ABSL_GUARDED_BY(mutex_) = {};
  // Whether the overhead has been told; until then it is estimated.
  bool measured_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tricolor::gc

#endif  // TRICOLOR_GC_GC_PACER_H_
