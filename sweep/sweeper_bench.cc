// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What it costs to sweep one span, by size of slots and by how many live.

#include <benchmark/benchmark.h>

#include <cstdint>

#include "tricolor/base/check.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/sweep/sweeper.h"

namespace tricolor::sweep {
namespace {

using mcentral::TestHeap;
using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;

class NoReceiver final : public mheap::SpecialReceiver {
 public:
  void TakeDead(mheap::Special*) override {}
};

struct Setup {
  Setup() { t.heap.set_sweeper(&sweeper); }
  TestHeap t;
  NoReceiver receiver;
  Sweeper sweeper{t.heap, t.centrals, receiver};
};

constexpr int kSpans = 1000;

// Arguments: slot size, live slots in a hundred.
void BM_SweepOne(benchmark::State& state) {
  Setup setup;
  const SpanClass c(mheap::SizeClassFor(static_cast<size_t>(state.range(0))),
                    SpanKind::kNoScan);
  int left = 0;
  for (auto _ : state) {
    if (left == 0) {
      state.PauseTiming();
      setup.sweeper.SweepAll(setup.t.processor);
      setup.sweeper.StartPhase();  // all that has survived dies
      setup.sweeper.SweepAll(setup.t.processor);
      setup.t.heap.ClearPageMarks();
      TRICOLOR_CHECK(setup.t.heap.mark_bit_arenas().Rotate(),
                     "no memory for mark bits");
      for (int i = 0; i < kSpans; ++i) {
        MSpan* span = setup.t.Listed(c, c.slots());
        for (uint32_t slot = 0; slot < span->slots(); ++slot) {
          if (slot * state.range(1) % 100 < state.range(1)) {
            setup.t.Mark(span, slot);
          }
        }
      }
      setup.sweeper.StartPhase();
      left = kSpans;
      state.ResumeTiming();
    }
    benchmark::DoNotOptimize(setup.sweeper.SweepOne(setup.t.processor));
    --left;
  }
  setup.sweeper.SweepAll(setup.t.processor);
}
BENCHMARK(BM_SweepOne)
    ->ArgNames({"slot", "live%"})
    ->ArgsProduct({{16, 64, 512}, {0, 1, 50, 100}});

// As above, for spans that were partly full before: their free slots are looked
// at for zombies.
void BM_SweepOne_Partial(benchmark::State& state) {
  Setup setup;
  constexpr SpanClass kClass(mheap::SizeClassFor(16), SpanKind::kNoScan);
  int left = 0;
  for (auto _ : state) {
    if (left == 0) {
      state.PauseTiming();
      setup.sweeper.SweepAll(setup.t.processor);
      setup.sweeper.StartPhase();
      setup.sweeper.SweepAll(setup.t.processor);
      setup.t.heap.ClearPageMarks();
      TRICOLOR_CHECK(setup.t.heap.mark_bit_arenas().Rotate(),
                     "no memory for mark bits");
      for (int i = 0; i < kSpans; ++i) {
        MSpan* span = setup.t.Listed(kClass, kClass.slots() - 10);
        for (uint32_t slot = 0; slot < kClass.slots() / 2; ++slot) {
          setup.t.Mark(span, slot);
        }
      }
      setup.sweeper.StartPhase();
      left = kSpans;
      state.ResumeTiming();
    }
    benchmark::DoNotOptimize(setup.sweeper.SweepOne(setup.t.processor));
    --left;
  }
  setup.sweeper.SweepAll(setup.t.processor);
}
BENCHMARK(BM_SweepOne_Partial);

// The part of a phase that happens with the world stopped.
void BM_StartPhase(benchmark::State& state) {
  Setup setup;
  for (auto _ : state) {
    setup.sweeper.StartPhase();
    setup.sweeper.SweepAll(setup.t.processor);
  }
}
BENCHMARK(BM_StartPhase);

}  // namespace
}  // namespace tricolor::sweep
