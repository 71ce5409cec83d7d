// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PageAllocTester: does each operation on a PageAlloc and on a PageAllocModel,
// compares what they return, and stops the program with one line when they
// differ. Every operation is total: what would be misuse is skipped, so that
// any list of operations is a test.
//
// After Record, a report is followed by the operations so far (fuzzing.h). One
// recording tester exists at a time.
// Pages and chunks count from the window's base. Thread-compatible.

#ifndef TRICOLOR_PAGEALLOC_PAGE_ALLOC_TESTER_H_
#define TRICOLOR_PAGEALLOC_PAGE_ALLOC_TESTER_H_

#include <array>
#include <cstdint>
#include <optional>

#include "tricolor/base/fuzzing.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/pagealloc/page_alloc_model.h"
#include "tricolor/pagealloc/page_cache.h"
#include "tricolor/pagealloc/window_os.h"

namespace tricolor::pagealloc {

class PageAllocTester {
 public:
  static constexpr int kCaches = 4;

  explicit PageAllocTester(uint64_t window_chunks,
                           ByteCount os_page = ByteCount(4 << 10),
                           ByteCount huge_page = ByteCount(2 << 20));
  // Flushes the caches and checks everything a last time.
  ~PageAllocTester();
  PageAllocTester(const PageAllocTester&) = delete;
  PageAllocTester& operator=(const PageAllocTester&) = delete;

  // Adds those of `count` chunks from `chunk` on up to the first that is beyond
  // the window or has been added already.
  void Grow(uint64_t chunk, uint64_t count);
  // The same with an OS that fails at its k-th call.
  void GrowFailing(uint64_t chunk, uint64_t count, uint64_t k);
  void Alloc(uint64_t pages);
  void AllocAligned(uint64_t pages, uint64_t alignment);
  // Frees at most `count` pages of the first run in use at or above `page`,
  // whatever allocations they came from, after `skip` of its pages.
  void Free(uint64_t page, uint64_t skip, uint64_t count);
  // Flushes cache `i` first.
  void RefillCache(int i);
  void CacheAlloc(int i, uint64_t pages);
  void FlushCache(int i);
  // In forced mode, if not said otherwise.
  void Scavenge(uint64_t pages);
  void ScavengeInBackground(uint64_t pages);
  void ScavengeFailing(uint64_t pages);
  // Holds a candidate, until the next of these or the end.
  void TakeCandidate(uint64_t pages);
  void TakeCandidateInBackground(uint64_t pages);
  void ReturnCandidate(bool released);
  void NextGeneration();
  // Of a chunk that has been added, `length` pages after `length` pages become
  // used, free or scavenged in turn, beginning with state `order` of these.
  // Flushes the caches and returns the candidate first.
  void SetChunk(uint64_t chunk, uint64_t length, uint64_t order);

  // Compares states and runs both sides' CheckInvariants. Thorough also
  // compares every page.
  void Check();
  void CheckThoroughly();

  // Before the first operation.
  void Record();

  PageAlloc& pages() { return pages_; }
  PageAllocModel& model() { return model_; }
  WindowOs& os() { return os_; }

 private:
  template <typename... Args>
  void Note(const char* name, Args... args);
  void CompareRun(PageRun run, PageAllocModel::Run expected) const;
  void CompareCache(int i) const;
  void ScavengeBoth(uint64_t pages, ScavengeMode mode);
  void TakeBoth(uint64_t pages, ScavengeMode mode);
  void CompareReleased(const std::vector<PageAllocModel::Pages>& expected);
  uint64_t Growable(uint64_t chunk, uint64_t count) const;
  Addr At(uint64_t page) const {
    return os_.window().base + BytesOf(PageCount(page));
  }

  std::optional<FuzzProgram> program_;  // first, so that it ends last
  WindowOs os_;
  PageAlloc pages_;
  PageAllocModel model_;
  std::array<PageCache, kCaches> caches_;
  std::array<PageAllocModel::Cache, kCaches> model_caches_;
  AddrRange candidate_;
  PageAllocModel::Pages model_candidate_{PageAllocModel::kNone, 0};
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PAGE_ALLOC_TESTER_H_
