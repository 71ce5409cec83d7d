// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The lookup of a suspect address while the span that it belongs to is freed
// and its structure becomes another span, under every schedule of a few
// preemptions: the page heap itself. span_lookup_interleaving_test has a model
// of it, with a mutant.

#include <cstdint>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tricolor/base/check.h"
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_testing.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"
#include "tricolor/mheap/mheap_testing.h"
#include "tricolor/mheap/mspan.h"

namespace tricolor::mheap {
namespace {

// Its slots do not fill the page.
const SpanClass kClass = ClassFor(48);

enum class NextLife { kHeapSpan, kManual };

// Thread 0 frees a span and makes another one of its structure, at a higher
// address; thread 1 looks up an address of the first.
class LookupScenario final : public schedule::Scenario {
 public:
  LookupScenario(NextLife next, bool in_a_slot)
      : next_(next),
        in_a_slot_(in_a_slot),
        span_(t_.heap.AllocSpan(t_.processor, kClass)),
        // Keeps two pages from being taken where the span was.
        neighbor_(t_.heap.AllocSpan(t_.processor, kClass)),
        suspect_(in_a_slot ? span_->limit() - ByteCount(1) : span_->limit()) {
    TRICOLOR_CHECK(suspect_ < span_->base() + span_->bytes() &&
                       neighbor_->base() == span_->base() + span_->bytes(),
                   "the heap has other spans than the test expects");
  }

  int threads() const override { return 2; }

  void Run(int t) override {
    if (t == 0) return StartAnotherLife();
    found_ = t_.heap.HeapSpanOf(suspect_);
    if (found_ != nullptr) schedule::Witness(0);
  }

  std::string Check() override {
    if (another_ != span_ || span_->base() <= suspect_) {
      return "the structure was not used again for a higher span";
    }
    if (found_ != nullptr && !in_a_slot_) {
      return "found a span where there never was a slot";
    }
    return found_ == nullptr || found_ == span_ ? "" : "found another span";
  }

 private:
  void StartAnotherLife() {
    t_.heap.FreeSpan(t_.processor, span_);
    const PageCount pages(2);
    another_ = next_ == NextLife::kManual
                   ? t_.heap.AllocManual(t_.processor, pages)
                   : t_.heap.AllocSpan(t_.processor, pages, LargeClass());
  }

  const NextLife next_;
  const bool in_a_slot_;
  TestHeap t_{SmallHeapOptions(), {.protect = false, .check_leaks = false}};
  MSpan* const span_;
  MSpan* const neighbor_;
  const Addr suspect_;
  MSpan* another_ = nullptr;
  const MSpan* found_ = nullptr;
};

uint64_t Found(NextLife next, bool in_a_slot) {
  const schedule::Factory factory = [=] {
    return std::make_unique<LookupScenario>(next, in_a_slot);
  };
  return schedule::ExploreGood(factory, 3, 20).witnessed[0];
}

TEST(SpanLookupScheduleTest, FindsNoSpanWhereThereNeverWasASlot) {
  EXPECT_EQ(Found(NextLife::kHeapSpan, false), 0u);
  EXPECT_EQ(Found(NextLife::kManual, false), 0u);
}

TEST(SpanLookupScheduleTest, FindsTheSpanOfASlotAsLongAsItIsThere) {
  EXPECT_GT(Found(NextLife::kHeapSpan, true), 0u);
  EXPECT_GT(Found(NextLife::kManual, true), 0u);
}

}  // namespace
}  // namespace tricolor::mheap
