// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// MCentralTester: several processors that take spans from the central lists of
// a few classes and give them back, sweepers that race them, and cycles, all in
// one thread and in any order, against a model that knows of each span who has
// it, which slots are allocated and whether it has been swept. Every operation
// is total: numbers are reduced to what exists.
//
// Test-only. Thread-compatible. One exists at a time.

#ifndef TRICOLOR_MCENTRAL_MCENTRAL_TESTER_H_
#define TRICOLOR_MCENTRAL_MCENTRAL_TESTER_H_

#include <cstdint>
#include <map>
#include <vector>

#include "tricolor/base/fuzzing.h"
#include "tricolor/mcentral/mcentral.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/processor_cache.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::mcentral {

class MCentralTester {
 public:
  // A heap that can map `megabytes`.
  explicit MCentralTester(uint32_t megabytes);
  // Takes every span back and checks a last time.
  ~MCentralTester();
  MCentralTester(const MCentralTester&) = delete;
  MCentralTester& operator=(const MCentralTester&) = delete;

  // The processor gets a span of the class, unless it has one.
  void Cache(uint32_t processor, uint32_t span_class);
  // Takes some free slots of the one it has, if that is not stale.
  void Take(uint32_t processor, uint32_t span_class, uint32_t slots);
  void Uncache(uint32_t processor, uint32_t span_class);
  // As a background sweeper does: the next `count` entries of an unswept set,
  // of a shard that depends on `count`.
  void SweepListed(uint32_t span_class, bool full, uint32_t count);
  // As who needs a span swept does: one that nobody has, wherever it is listed.
  void SweepDirectly(uint32_t span);
  // Marks about `eighths` of each span's slots (`eighths` + 1 of the next's,
  // and so on), when all is swept and no cache stale; then a new generation
  // begins.
  void Cycle(uint32_t eighths);
  // Whether anybody but a stale span's cache may sweep.
  void OpenSweeper(bool open);
  // From the k-th call on the OS refuses memory; until Recover.
  void RefuseMemory(uint32_t k);
  void Recover();

  // Each span's state, and how many are listed.
  void Check();

 private:
  static constexpr uint32_t kProcessors = 3;
  static constexpr uint32_t kClasses = 3;

  struct Span {
    uint32_t span_class = 0;
    int cached_by = -1;
    bool swept = true;  // in this generation
    std::vector<bool> allocated;
    std::vector<bool> marked;  // in the last cycle
  };

  MCentral& CentralOf(uint32_t span_class);
  mheap::MSpan*& Cached(uint32_t processor, uint32_t span_class) {
    return cached_[processor % kProcessors][span_class % kClasses];
  }
  void GiveBack(uint32_t processor, uint32_t span_class);
  // What the sweeper has swept since the last call.
  void LearnSwept();
  // Of an acquired span: sweeps it, and lists or frees it.
  void Sweep(mheap::MSpan* span);
  void SweepRest();
  void CheckSpan(const mheap::MSpan& span, const Span& model) const;
  void CheckListed(uint32_t span_class);
  MCentralTestPeer& SetsOf(uint32_t processor, uint32_t span_class) {
    return sets_[processor % kProcessors * kClasses + span_class % kClasses];
  }
  // In all shards' swept sets.
  uint32_t CountListed(uint32_t span_class, bool full);
  // Swept spans of the class that nobody has.
  uint32_t CountSwept(uint32_t span_class, bool full) const;

  FuzzProgram program_;
  TestHeap t_;
  FakeSweeper sweeper_{t_.heap};
  mheap::ProcessorCache processors_[kProcessors];
  // Of each processor's shard.
  std::vector<MCentralTestPeer> sets_;
  mheap::MSpan* cached_[kProcessors][kClasses] = {};
  std::map<mheap::MSpan*, Span> spans_;
  bool refusing_ = false;
  // Of spans that had to be listed in this generation while memory was refused,
  // some may not be.
  bool may_be_unlisted_ = false;
};

}  // namespace tricolor::mcentral

#endif  // TRICOLOR_MCENTRAL_MCENTRAL_TESTER_H_
