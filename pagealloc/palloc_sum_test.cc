// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/palloc_sum.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace tricolor::pagealloc {
namespace {

constexpr unsigned kFanout = PallocSum::kFanout;
using Children = std::array<PallocSum, kFanout>;

// The summary of single pages, true for free, by a loop.
PallocSum Naive(const std::vector<bool>& free) {
  uint32_t start = 0;
  uint32_t max = 0;
  uint32_t run = 0;
  for (size_t i = 0; i < free.size(); ++i) {
    run = free[i] ? run + 1 : 0;
    max = std::max(max, run);
    if (run == i + 1) start = run;
  }
  return PallocSum::Pack(start, max, run);
}

Children ChildrenOf(const std::vector<bool>& free) {
  const size_t size = free.size() / kFanout;
  Children children;
  for (size_t i = 0; i < kFanout; ++i) {
    const auto begin = free.begin() + static_cast<std::ptrdiff_t>(i * size);
    children[i] = Naive({begin, begin + static_cast<std::ptrdiff_t>(size)});
  }
  return children;
}

TEST(PallocSumTest, ZeroSaysThatNothingIsFree) {
  constexpr PallocSum kNone;
  static_assert(kNone.none_free());
  EXPECT_EQ(kNone, PallocSum::Pack(0, 0, 0));
  EXPECT_EQ(kNone.bits(), 0u);
  EXPECT_FALSE(PallocSum::Pack(0, 1, 0).none_free());
}

TEST(PallocSumTest, UnpacksWhatWasPacked) {
  constexpr uint32_t kLargest = PallocSum::kMaxPages - 1;
  for (const uint32_t max : {1u, 2u, 511u, 512u, 4096u, kLargest}) {
    for (const uint32_t start : {0u, 1u, max / 2, max}) {
      for (const uint32_t end : {0u, 1u, max / 2, max}) {
        const PallocSum sum = PallocSum::Pack(start, max, end);
        EXPECT_EQ(sum.start(), start);
        EXPECT_EQ(sum.max(), max);
        EXPECT_EQ(sum.end(), end);
      }
    }
  }
}

TEST(PallocSumTest, TheTopBitAloneMeansAllPagesOfARootEntry) {
  const PallocSum all = PallocSum::AllFree(PallocSum::kMaxPages);
  EXPECT_EQ(all.bits(), uint64_t{1} << 63);
  EXPECT_EQ(all.start(), PallocSum::kMaxPages);
  EXPECT_EQ(all.max(), PallocSum::kMaxPages);
  EXPECT_EQ(all.end(), PallocSum::kMaxPages);
  // One page less has an ordinary form.
  const uint32_t most = PallocSum::kMaxPages - 1;
  EXPECT_EQ(PallocSum::Pack(most, most, 0).bits() >> 63, 0u);
}

TEST(PallocSumTest, MergesFullChildrenOfARootEntry) {
  constexpr unsigned kLog = PallocSum::kFieldBits - PallocSum::kFanoutBits;
  Children children;
  children.fill(PallocSum::AllFree(1u << kLog));
  EXPECT_EQ(PallocSum::Merge(children.data(), kLog),
            PallocSum::AllFree(PallocSum::kMaxPages));
  // One page of the fourth child is used.
  children[3] = PallocSum::Pack(5, (1u << kLog) - 6, (1u << kLog) - 6);
  const uint32_t start = (3u << kLog) + 5;
  const uint32_t end = PallocSum::kMaxPages - start - 1;
  EXPECT_EQ(PallocSum::Merge(children.data(), kLog),
            PallocSum::Pack(start, end, end));
}

TEST(PallocSumTest, MergesAcrossChildren) {
  constexpr unsigned kLog = 9;
  Children children;
  EXPECT_EQ(PallocSum::Merge(children.data(), kLog), PallocSum());
  // A run over the end of one, all of the next, and the start of a third.
  children[2] = PallocSum::Pack(0, 100, 100);
  children[3] = PallocSum::AllFree(512);
  children[4] = PallocSum::Pack(30, 200, 0);
  EXPECT_EQ(PallocSum::Merge(children.data(), kLog),
            PallocSum::Pack(0, 642, 0));
  // The longest run within a child.
  children[6] = PallocSum::Pack(0, 510, 0);
  children[3] = PallocSum::Pack(7, 300, 8);
  EXPECT_EQ(PallocSum::Merge(children.data(), kLog),
            PallocSum::Pack(0, 510, 0));
  // Both ends.
  children[0] = PallocSum::AllFree(512);
  children[1] = PallocSum::Pack(1, 1, 0);
  children[7] = PallocSum::Pack(0, 2, 2);
  EXPECT_EQ(PallocSum::Merge(children.data(), kLog),
            PallocSum::Pack(513, 513, 2));
}

TEST(PallocSumTest, MergesRandomChildrenLikeTheLoop) {
  std::mt19937_64 random(21);
  for (const unsigned log : {0u, 1u, 2u, 4u}) {
    for (int i = 0; i < 3000; ++i) {
      std::vector<bool> free(kFanout << log);
      const uint64_t odds = 1 + random() % 9;
      for (auto&& page : free) page = random() % 10 < odds;
      // Children that are free or used as a whole are frequent too.
      for (unsigned c = 0; c < kFanout; ++c) {
        if (random() % 2 == 0) continue;
        const bool value = random() % 3 != 0;
        std::fill_n(free.begin() + (c << log), 1u << log, value);
      }
      ASSERT_EQ(PallocSum::Merge(ChildrenOf(free).data(), log), Naive(free));
    }
  }
}

TEST(PallocSumTest, FollowsTheChangeOfOneChild) {
  std::mt19937_64 random(22);
  for (const unsigned log : {0u, 1u, 3u}) {
    const size_t size = size_t{1} << log;
    for (int round = 0; round < 300; ++round) {
      std::vector<bool> free(kFanout * size);
      for (auto&& page : free) page = random() % 4 != 0;
      if (round % 3 == 0) free.assign(free.size(), round % 2 == 0);
      for (int i = 0; i < 40; ++i) {
        // Pages of one child all become free, or used.
        const size_t k = random() % kFanout;
        const size_t first = random() % size;
        const size_t count = 1 + random() % (size - first);
        const bool value = random() % 2 == 0;
        const PallocSum old = ChildrenOf(free)[k];
        const PallocSum parent = Naive(free);
        std::fill_n(
            free.begin() + static_cast<std::ptrdiff_t>(k * size + first), count,
            value);
        const Children children = ChildrenOf(free);
        const PallocSum sum =
            value ? PallocSum::MergeAfterGrow(parent, children.data(), log,
                                              static_cast<unsigned>(k))
                  : PallocSum::MergeAfterShrink(parent, children.data(), log,
                                                static_cast<unsigned>(k), old);
        ASSERT_EQ(sum, Naive(free));
      }
    }
  }
}

}  // namespace
}  // namespace tricolor::pagealloc
