// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Who sweeps a span, and when the phase is done, under every schedule of a few
// preemptions: the sweeper and the central lists themselves, on a heap of a few
// spans. Uses nothing but what they offer to the floors above.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/check.h"
#include "tricolor/base/schedule.h"
#include "tricolor/base/schedule_hooks.h"
#include "tricolor/base/schedule_testing.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::sweep {
namespace {

using mcentral::TestHeap;
using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;

// 512-byte slots, 16 to a span.
constexpr SpanClass kClass(mheap::SizeClassFor(512), SpanKind::kNoScan);

struct SpanPlan {
  uint32_t used;
  uint32_t live;
};

// What threads do with the spans, a letter each:
//   s  sweep one              c  cache one       e  have the first span swept
//   a  sweep all that is left u  give it back    r  reclaim a page
//   n  sweep all that is left, and begin the next phase
//   b  be a sweeper for a moment
class SweepScenario final : public schedule::Scenario,
                            private mheap::SpecialReceiver {
 public:
  SweepScenario(const std::vector<SpanPlan>& spans,
                std::vector<std::string> programs)
      : programs_(std::move(programs)), cached_(programs_.size()) {
    t_.heap.set_sweeper(&sweeper_);
    for (const SpanPlan& plan : spans) {
      spans_.push_back(t_.Listed(kClass, plan.used));
      for (uint32_t i = 0; i < plan.live; ++i) t_.Mark(spans_.back(), i);
    }
    for (size_t i = 0; i < programs_.size(); ++i) {
      t_.heap.AttachProcessor(processors_.emplace_back());
    }
    StartPhase();
  }
  ~SweepScenario() override {
    for (auto& processor : processors_) t_.heap.ReleaseProcessor(processor);
  }

  int threads() const override { return static_cast<int>(programs_.size()); }

  void Run(int t) override {
    const auto thread = static_cast<size_t>(t);
    for (const char operation : programs_[thread]) {
      Do(operation, processors_[thread], cached_[thread]);
    }
  }

  std::string Check() override {
    sweeper_.SweepAll(t_.processor);
    sweeper_.CheckInvariants();
    t_.centrals.CheckInvariants();
    t_.heap.CheckInvariants();
    const uint64_t swept = t_.heap.ReadStats().spans_swept;
    if (swept == to_sweep_) return "";
    return std::to_string(swept) + " spans were swept, expected " +
           std::to_string(to_sweep_);
  }

 private:
  void TakeDead(mheap::Special*) override { Fatal("there are no specials"); }

  // What the world's stop would surround.
  void StartPhase() {
    const uint32_t sg = t_.heap.sweep_gen();
    t_.heap.ForEachHeapSpan([this, sg](const MSpan& span) {
      if (span.sweep_gen() == sg) ++to_sweep_;
    });
    sweeper_.StartPhase();
  }

  void Do(char operation, mheap::ProcessorCache& processor,
          std::vector<MSpan*>& cached) {
    switch (operation) {
      case 's':
        if (!sweeper_.SweepOne(processor).has_value()) schedule::Witness(0);
        return;
      case 'a':
        sweeper_.SweepAll(processor);
        CheckAllSwept();
        return;
      case 'n':
        sweeper_.SweepAll(processor);
        StartPhase();
        return;
      case 'b':
        if (!sweeper_.Begin(processor)) return;
        schedule::Witness(3);
        schedule::Step();
        sweeper_.End(processor);
        return;
      case 'c':
        cached.push_back(Cache(processor));
        return;
      case 'u':
        t_.centrals.of(kClass).UncacheSpan(processor, *cached.back());
        cached.pop_back();
        return;
      case 'e':
        sweeper_.EnsureSwept(processor, *spans_[0]);
        CheckSwept(*spans_[0]);
        return;
      case 'r':
        if (sweeper_.Reclaim(processor, PageCount(1)) > PageCount(0)) {
          schedule::Witness(1);
        }
        return;
      default:
        Fatal("no such operation: %c", operation);
    }
  }

  MSpan* Cache(mheap::ProcessorCache& processor) {
    MSpan* span = t_.centrals.of(kClass).CacheSpan(processor);
    TRICOLOR_CHECK(span != nullptr, "nothing to cache");
    const uint32_t sg = t_.heap.sweep_gen();
    TRICOLOR_CHECK(span->sweep_gen() == sg, "two caches have span %p",
                   static_cast<void*>(span));
    span->set_sweep_gen(sg + 3);
    for (const MSpan* listed : spans_) {
      if (listed == span) schedule::Witness(2);
    }
    return span;
  }

  void CheckSwept(const MSpan& span) {
    const uint32_t sg = t_.heap.sweep_gen();
    const uint32_t gen = span.sweep_gen();
    TRICOLOR_CHECK(gen == sg || gen == sg + 3,
                   "span %p has generation %u, heap generation %u",
                   static_cast<const void*>(&span), gen, sg);
  }

  void CheckAllSwept() {
    for (const MSpan* span : spans_) {
      if (span->state() == mheap::SpanState::kInUse) CheckSwept(*span);
    }
  }

  TestHeap t_;
  Sweeper sweeper_{t_.heap, t_.centrals, *this};
  const std::vector<std::string> programs_;
  std::vector<MSpan*> spans_;
  std::deque<mheap::ProcessorCache> processors_;
  std::vector<std::vector<MSpan*>> cached_;
  uint64_t to_sweep_ = 0;
};

schedule::Result ExploreGood(std::vector<SpanPlan> spans,
                             std::vector<std::string> programs, int preemptions,
                             uint64_t at_least) {
  return schedule::ExploreGood(
      [&] { return std::make_unique<SweepScenario>(spans, programs); },
      preemptions, at_least);
}

TEST(SweepScheduleTest, TwoSweepersSweepEachSpanOnce) {
  const schedule::Result result = ExploreGood({{3, 1}}, {"s", "s"}, 2, 1000);
  EXPECT_GT(result.witnessed[0], 0u);  // nothing was left
  ExploreGood({{3, 1}, {2, 0}}, {"ss", "ss"}, 1, 100);
}

TEST(SweepScheduleTest, WhoWaitsForTheEndFindsAllSwept) {
  ExploreGood({{3, 1}, {16, 16}}, {"a", "s"}, 1, 50);
}

TEST(SweepScheduleTest, ASweeperThatIsLateStaysOutOfTheNextPhase) {
  ExploreGood({{3, 1}}, {"n", "s"}, 1, 50);
  const schedule::Result result = ExploreGood({}, {"n", "b"}, 4, 60);
  EXPECT_GT(result.witnessed[3], 0u);  // it was in time, or in the next phase
}

TEST(SweepScheduleTest, ACacheAndASweeperWantTheSameSpan) {
  const schedule::Result result = ExploreGood({{3, 1}}, {"cu", "s"}, 1, 50);
  EXPECT_GT(result.witnessed[2], 0u);  // the cache got it
}

TEST(SweepScheduleTest, ASpanThatMustBeSweptNowIsSweptByAnyone) {
  ExploreGood({{3, 1}}, {"e", "s"}, 1, 50);
  ExploreGood({{3, 1}}, {"e", "c"}, 1, 50);
}

TEST(SweepScheduleTest, ReclaimTakesNothingFromOtherSweepers) {
  const schedule::Result result =
      ExploreGood({{2, 0}, {3, 1}}, {"r", "s"}, 1, 25);
  EXPECT_GT(result.witnessed[1], 0u);  // it reclaimed
  ExploreGood({{3, 1}}, {"r", "e", "s"}, 1, 50);
}

TEST(SweepScheduleTest, ManySweepersUnderRandomPriorities) {
  const std::vector<SpanPlan> spans = {{3, 1}, {16, 16}, {2, 0}, {9, 9}};
  const std::vector<std::string> programs = {"scuse", "ccuu", "rsae"};
  schedule::PctGood(
      [&] { return std::make_unique<SweepScenario>(spans, programs); }, 1, 200);
}

}  // namespace
}  // namespace tricolor::sweep
