// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Ground: a heap with what all threads of a soak share in it, and counts of
// what they have done. Thread-safe.

#ifndef TRICOLOR_TESTS_SOAK_GROUND_H_
#define TRICOLOR_TESTS_SOAK_GROUND_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "tricolor/runtime/heap.h"
#include "tricolor/tests/soak/findings.h"
#include "tricolor/tests/soak/objects.h"

namespace tricolor::soak {

struct Counts {
  std::atomic<uint64_t> threads{0};
  std::atomic<uint64_t> jobs{0};
  std::atomic<uint64_t> cache_hits{0};
  std::atomic<uint64_t> cache_misses{0};
  std::atomic<uint64_t> fiber_switches{0};
  // Of cleanups and finalizers.
  std::atomic<uint64_t> calls_added{0};
  std::atomic<uint64_t> calls_stopped{0};
  std::atomic<uint64_t> calls_run{0};
  std::atomic<uint64_t> calls_dropped{0};  // destroyed, and have not run

  // Those that are added meanwhile may count.
  uint64_t calls_pending() const {
    const uint64_t over = calls_run + calls_dropped;
    return calls_added - over;
  }
};

// What a cleanup or finalizer does: counts, once.
class CountedCall {
 public:
  CountedCall(Counts& counts, Findings& findings)
      : counts_(&counts), findings_(&findings) {
    ++counts_->calls_added;
  }
  CountedCall(CountedCall&& other) noexcept
      : counts_(other.counts_), findings_(other.findings_), run_(other.run_) {
    other.counts_ = nullptr;
  }
  CountedCall(const CountedCall&) = delete;
  CountedCall& operator=(const CountedCall&) = delete;
  ~CountedCall() {
    if (counts_ != nullptr && !run_) ++counts_->calls_dropped;
  }

  void Run() {
    findings_->Check(!run_, "a cleanup has run twice");
    run_ = true;
    ++counts_->calls_run;
  }

 private:
  Counts* counts_;
  Findings* findings_;
  bool run_ = false;
};

class Ground {
 public:
  static constexpr uint64_t kKeys = 4096;

  // `largest`: the most words of a large array.
  Ground(const HeapOptions& options, uint64_t largest, Findings& findings);
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;

  Heap& heap() { return heap_; }
  Board& board() { return *board_; }
  Counts& counts() { return counts_; }
  Findings& findings() { return findings_; }
  uint64_t largest() const { return largest_; }

  // The cache. On an attached thread.
  Weak<Entry> Find(Mutator& mutator, uint64_t key);
  void Remember(Mutator& mutator, uint64_t key, const Weak<Entry>& entry);
  // By the entry's cleanup, if the key has no other entry meanwhile.
  void Forget(uint64_t key);

  // The cache's, for who forks: a child would wait for ever for one that a
  // thread of the parent holds.
  std::mutex& cache_mutex() { return cache_mutex_; }

  // That all on the board is whole. When no other thread runs.
  void CheckBoard();
  // Drops everything; what is left then may be known to words on a stack only.
  // When no other thread is attached.
  void Drop();

 private:
  Findings& findings_;
  const uint64_t largest_;
  Counts counts_;  // outlives the heap, whose cleanups count here
  std::mutex cache_mutex_;
  std::unordered_map<uint64_t, Weak<Entry>> cache_;
  Heap heap_;
  Root<Board> board_;
};

}  // namespace tricolor::soak

#endif  // TRICOLOR_TESTS_SOAK_GROUND_H_
