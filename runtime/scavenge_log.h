// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The lines that TRICOLOR_DEBUG=scavtrace=1 prints of memory given back to the
// OS: when the background has come to rest, after each collection and after
// each request, if anything has been given back since the last line.
//
// Go counterpart: printScavTrace in mgcscavenge.go. Thread-safe.

#ifndef TRICOLOR_RUNTIME_SCAVENGE_LOG_H_
#define TRICOLOR_RUNTIME_SCAVENGE_LOG_H_

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/mutex.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::runtime {

// Sizes in bytes.
struct ScavengeRecord {
  uint64_t background = 0;  // given back since the last line: at its own pace,
  uint64_t eager = 0;       // and at once, by who allocates or on request
  uint64_t ready = 0;       // held for spans
  uint64_t in_use = 0;      // of it, in spans
  bool forced = false;      // after a request
};

// Without a newline:
// scav 1024 KiB work (bg), 0 KiB work (eager), 5120 KiB now, 80% util (forced)
std::string FormatScavenge(const ScavengeRecord& record);

class ScavengeLog {
 public:
  // `heap` outlives it.
  explicit ScavengeLog(const mheap::MHeap& heap) : heap_(heap) {}
  ScavengeLog(const ScavengeLog&) = delete;
  ScavengeLog& operator=(const ScavengeLog&) = delete;

  // A line on stderr, unless nothing has been given back since the last one.
  void Print(bool forced);

  // For handlers of fork() to hold.
  Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }

 private:
  const mheap::MHeap& heap_;
  // What lines have told of.
  Mutex mutex_{LockRank::kPacer};
  uint64_t background_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t eager_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_SCAVENGE_LOG_H_
