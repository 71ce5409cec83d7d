// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A sweeper of a heap on a fake OS, for tests, which checks its invariants in
// the end. Test-only.

#ifndef TRICOLOR_SWEEP_SWEEPER_TESTING_H_
#define TRICOLOR_SWEEP_SWEEPER_TESTING_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::sweep {

// 512-byte slots, 16 to a span.
inline constexpr mheap::SpanClass kClass(mheap::SizeClassFor(512),
                                         mheap::SpanKind::kNoScan);
inline constexpr uint32_t kSlots = mheap::kClassSlots[kClass.size_class()];
inline constexpr mheap::SpanClass kLarge(0, mheap::SpanKind::kNoScan);
inline constexpr PageCount kNoPages(0);

// Writes down what it is told.
class FakeReceiver final : public mheap::SpecialReceiver {
 public:
  explicit FakeReceiver(mheap::MHeap& heap) : heap_(heap) {}
  void TakeDead(mheap::Special* list) override {
    while (list != nullptr) {
      mheap::Special* next = list->next;
      died.emplace_back(list->object_index, list->kind);
      heap_.FreeSpecial(list);
      list = next;
    }
  }
  std::vector<std::pair<uint32_t, mheap::SpecialKind>> died;

 private:
  mheap::MHeap& heap_;
};

class SweeperTest : public testing::Test {
 protected:
  SweeperTest() { t_.heap.set_sweeper(&sweeper_); }
  ~SweeperTest() override {
    sweeper_.CheckInvariants();
    t_.centrals.CheckInvariants();
    t_.heap.CheckInvariants();
  }

  uint32_t sg() const { return t_.heap.sweep_gen(); }
  // A listed span with `used` slots allocated, the first `live` of them marked.
  mheap::MSpan* Listed(uint32_t used, uint32_t live,
                       mheap::SpanClass c = kClass) {
    mheap::MSpan* span = t_.Listed(c, used);
    for (uint32_t i = 0; i < live; ++i) t_.Mark(span, i);
    return span;
  }
  mheap::MSpan* ListedLarge(PageCount pages, bool live) {
    mheap::MSpan* span = t_.heap.AllocSpan(t_.processor, pages, kLarge);
    mcentral::TestHeap::Take(span, 1);
    t_.centrals.of(kLarge).PushSwept(*span);
    if (live) t_.Mark(span, 0);
    return span;
  }
  std::optional<PageCount> SweepOne() {
    return sweeper_.SweepOne(t_.processor);
  }
  void SweepAll() { sweeper_.SweepAll(t_.processor); }

  mcentral::TestHeap t_;
  FakeReceiver receiver_{t_.heap};
  Sweeper sweeper_{t_.heap, t_.centrals, receiver_};
};

}  // namespace tricolor::sweep

#endif  // TRICOLOR_SWEEP_SWEEPER_TESTING_H_
