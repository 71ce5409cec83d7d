// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Operations on a page heap, each beside a plain model of it, for random tests
// and fuzzing: a list of the live spans, and what is written into their pages.
// How much memory the heap holds is what the fake OS says. After each operation
// the model must agree with what the heap says; a disagreement is fatal.
//
// Thread-compatible.

#ifndef TRICOLOR_MHEAP_MHEAP_TESTER_H_
#define TRICOLOR_MHEAP_MHEAP_TESTER_H_

#include <cstdint>
#include <vector>

#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::mheap {

struct MHeapTesterOptions {
  MHeapOptions heap{.reservation = kArenaSize * 3};
  FakeOsMemoryOptions os;
};

class MHeapTester {
 public:
  explicit MHeapTester(const MHeapTesterOptions& options = {});
  ~MHeapTester();
  MHeapTester(const MHeapTester&) = delete;
  MHeapTester& operator=(const MHeapTester&) = delete;

  // One operation, all of which is in the bits of `word`.
  void Step(uint64_t word);
  // Compares all live spans with the heap, and the heap with itself.
  void Check() const;

  // While it is on, OS calls fail and operations may come to nothing.
  void set_failing(bool failing) { failing_ = failing; }
  FakeOsMemory& os() { return os_; }
  MHeap& heap() { return heap_; }
  uint64_t spans_made() const { return spans_made_; }

 private:
  static constexpr int kProcessors = 3;

  struct Live {
    MSpan* span;
    Addr base;
    PageCount pages;
    uint64_t pattern;  // what its pages hold; 0: not written
    bool manual;
  };

  void AllocSmall(uint64_t word);
  void AllocLarge(uint64_t word);
  void AllocManual(uint64_t word);
  void Free(uint64_t word);
  void Sweep(uint64_t word);
  void SweepOne(uint64_t word);
  void Cycle(uint64_t word);
  void Scavenge(uint64_t word);
  void SetScavengeGoals(ByteCount bytes, uint64_t word);
  void CheckReady() const;
  void ChangeProcessor(uint64_t word);

  void Add(MSpan* span, PageCount pages, PageCount alignment, bool manual);
  // Whether a null answer to such a request was right.
  void CheckRefusal(PageCount pages, PageCount alignment) const;
  void Fill(Live& live);
  void CheckContents(const Live& live) const;
  // Calls body(word) for some words of each page of the span's slots.
  template <typename Body>
  static void ForSomeWords(const Live& live, const Body& body);
  ProcessorCache& processor(uint64_t word) {
    return processors_[word % kProcessors];
  }

  FakeOsMemory os_;
  const MHeapOptions options_;
  MHeap heap_;
  ProcessorCache processors_[kProcessors];
  std::vector<Live> live_;
  uint64_t spans_made_ = 0;
  uint64_t next_pattern_ = 1;
  bool failing_ = false;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_MHEAP_TESTER_H_
