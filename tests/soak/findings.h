// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Findings: the first thing that a soak has found wrong, and whether it still
// gets on. Thread-safe.

#ifndef TRICOLOR_TESTS_SOAK_FINDINGS_H_
#define TRICOLOR_TESTS_SOAK_FINDINGS_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace tricolor::soak {

class Findings {
 public:
  // One line; the first one counts.
  void Fail(const std::string& what) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (first_.empty()) first_ = what;
    failed_.store(true, std::memory_order_release);
  }
  void Check(bool condition, const char* what) {
    if (!condition) Fail(what);
  }
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // Empty when nothing was wrong.
  std::string first() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return first_;
  }

  // Called for each piece of work done.
  void Progress() { progress_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t progress() const {
    return progress_.load(std::memory_order_relaxed);
  }

 private:
  std::mutex mutex_;
  std::string first_;
  std::atomic<bool> failed_{false};
  std::atomic<uint64_t> progress_{0};
};

}  // namespace tricolor::soak

#endif  // TRICOLOR_TESTS_SOAK_FINDINGS_H_
