// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PageAlloc and its model do the same random operations. The seed is printed;
// TRICOLOR_SEED sets it.

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc_tester.h"

namespace tricolor::pagealloc {
namespace {

constexpr uint64_t kRootChunks = PallocSum::kMaxPages / kChunkPages;

// Where chunks are added: bounds of every level of the tree, with gaps of all
// sizes between them.
constexpr uint64_t kPlaces[] = {0,
                                1,
                                2,
                                7,
                                8,
                                9,
                                15,
                                63,
                                64,
                                65,
                                200,
                                511,
                                512,
                                4095,
                                kRootChunks,
                                kRootChunks + 1,
                                kRootChunks + 70,
                                2 * kRootChunks - 1,
                                2 * kRootChunks,
                                3 * kRootChunks - 2};
constexpr uint64_t kWindowChunks = 3 * kRootChunks;

// How one run prefers its operations.
struct Mix {
  std::string name;
  int grow, alloc, aligned, free, refill, cache_alloc, scavenge;
  uint64_t largest;  // pages of an allocation
  uint64_t os_page;
  uint64_t huge_page;
};

class PageAllocRandomTest : public testing::TestWithParam<Mix> {
 protected:
  uint64_t Below(uint64_t n) { return random_.Below(n); }
  // Small numbers far more often than large ones.
  uint64_t Size(uint64_t largest) { return 1 + Below(1 + Below(largest)); }

  void Step(PageAllocTester& t, const Mix& mix) {
    const int sum = mix.grow + mix.alloc + mix.aligned + mix.free + mix.refill +
                    mix.cache_alloc + mix.scavenge;
    auto pick = static_cast<int>(Below(static_cast<uint64_t>(sum)));
    const auto is = [&pick](int weight) {
      pick -= weight;
      return pick < 0;
    };
    const int cache = static_cast<int>(Below(PageAllocTester::kCaches));
    if (is(mix.grow)) {
      const uint64_t place = kPlaces[Below(std::size(kPlaces))];
      if (Below(3) == 0) {
        t.GrowFailing(place, Size(3), Size(8));
      } else {
        t.Grow(place, Size(3));
      }
    } else if (is(mix.alloc)) {
      t.Alloc(Size(mix.largest));
    } else if (is(mix.aligned)) {
      t.AllocAligned(Size(mix.largest), uint64_t{1} << Below(12));
    } else if (is(mix.free)) {
      const uint64_t page = kPlaces[Below(std::size(kPlaces))] * kChunkPages;
      t.Free(page + Below(2 * kChunkPages), Below(8) == 0 ? Size(64) : 0,
             Size(2 * mix.largest));
    } else if (is(mix.refill)) {
      Below(4) == 0 ? t.FlushCache(cache) : t.RefillCache(cache);
    } else if (is(mix.cache_alloc)) {
      t.CacheAlloc(cache, Size(16));
    } else {
      StepScavenge(t, Size(2 * mix.largest));
    }
  }

  void StepScavenge(PageAllocTester& t, uint64_t pages) {
    switch (Below(10)) {
      case 0:
        return t.ScavengeFailing(pages);
      case 1:
        return t.TakeCandidate(pages);
      case 2:
        return t.TakeCandidateInBackground(pages);
      case 3:
        return t.ReturnCandidate(Below(2) == 0);
      case 4:
        return t.NextGeneration();
      case 5:
        return t.Scavenge(pages);
      default:
        return t.ScavengeInBackground(pages);
    }
  }

  TestRandom random_{TestSeed()};
};

// Each mix does kRounds * kSteps operations, all of them 3 200 000; a twentieth
// under the sanitizers, which are that much slower.
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr int kSteps = 2'000;
#elif ABSL_HAVE_FEATURE(undefined_behavior_sanitizer)
constexpr int kSteps = 2'000;
#else
constexpr int kSteps = 40'000;
#endif
constexpr int kRounds = 8;

TEST_P(PageAllocRandomTest, AgreesWithTheModel) {
  const Mix& mix = GetParam();
  for (int round = 0; round < kRounds; ++round) {
    PageAllocTester t(kWindowChunks, ByteCount(mix.os_page),
                      ByteCount(mix.huge_page));
    // A failure prints the operations where it is repeated.
    if (std::getenv("TRICOLOR_SEED") != nullptr) t.Record();
    t.Grow(kPlaces[Below(std::size(kPlaces))], 1);
    for (int i = 0; i < kSteps; ++i) {
      Step(t, mix);
      if (i % 64 == 0) t.Check();
      if (i % 2000 == 0) t.CheckThoroughly();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Mixes, PageAllocRandomTest,
    testing::Values(
        Mix{"SmallRuns", 1, 60, 4, 40, 0, 0, 0, 8, 4 << 10, 2 << 20},
        Mix{"AllSizes", 2, 40, 8, 38, 4, 8, 4, 1500, 4 << 10, 2 << 20},
        Mix{"Caches", 1, 10, 0, 30, 15, 60, 4, 16, 4 << 10, 2 << 20},
        Mix{"Scavenging16k", 1, 30, 3, 30, 5, 10, 30, 100, 16 << 10, 2 << 20},
        Mix{"Scavenging64k", 1, 30, 3, 30, 5, 10, 30, 200, 64 << 10, 2 << 20},
        Mix{"NoHugePages4k", 1, 30, 3, 30, 5, 10, 30, 200, 4 << 10, 0},
        Mix{"NoHugePages64k", 1, 30, 3, 30, 5, 10, 30, 200, 64 << 10, 0},
        Mix{"Scavenging4k", 0, 40, 3, 30, 5, 10, 40, 60, 4 << 10, 2 << 20},
        Mix{"FullAndGrowing", 3, 60, 5, 10, 5, 10, 2, 700, 4 << 10, 2 << 20},
        Mix{"AlwaysFull", 0, 60, 10, 10, 5, 10, 2, 40, 4 << 10, 2 << 20}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace tricolor::pagealloc
