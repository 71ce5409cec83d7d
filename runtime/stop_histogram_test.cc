// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/stop_histogram.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace tricolor {
namespace {

TEST(StopHistogramTest, ABucketEndsAtMostAQuarterAboveWhatItCounts) {
  for (int width = 0; width < 64; ++width) {
    for (const int64_t near : {-1, 0, 1}) {
      const uint64_t ns = (uint64_t{1} << width) + static_cast<uint64_t>(near);
      const int bucket = StopHistogram::BucketOf(ns);
      ASSERT_LT(bucket, StopHistogram::kBuckets) << ns;
      EXPECT_GE(StopHistogram::LongestOf(bucket), ns);
      EXPECT_LE(StopHistogram::LongestOf(bucket) - ns, ns / 4) << ns;
    }
  }
  EXPECT_LT(StopHistogram::BucketOf(UINT64_MAX), StopHistogram::kBuckets);
}

TEST(StopHistogramTest, BucketsFollowEachOther) {
  int last = 0;
  for (uint64_t ns = 1; ns < 5000; ++ns) {
    const int bucket = StopHistogram::BucketOf(ns);
    EXPECT_GE(bucket, last);
    if (bucket != last) EXPECT_EQ(StopHistogram::LongestOf(last), ns - 1);
    last = bucket;
  }
}

TEST(StopHistogramTest, QuantilesAreThoseOfWhatWasCounted) {
  StopHistogram stops;
  EXPECT_EQ(stops.Quantile(0.5), 0U);
  for (uint64_t i = 1; i <= 100; ++i) stops.Add(i * 1000);
  EXPECT_EQ(stops.total(), 100U);
  EXPECT_GE(stops.Quantile(0.5), 50'000U);
  EXPECT_LE(stops.Quantile(0.5), 62'500U);
  EXPECT_GE(stops.Quantile(0.99), 99'000U);
  EXPECT_LE(stops.Quantile(1), 125'000U);
  EXPECT_GE(stops.Quantile(0), 1000U);
  EXPECT_LE(stops.Quantile(0), 1250U);
  StopHistogram later = stops;
  later.Add(7);
  later -= stops;
  EXPECT_EQ(later.total(), 1U);
  EXPECT_EQ(later.Quantile(0.5), 7U);
}

}  // namespace
}  // namespace tricolor
