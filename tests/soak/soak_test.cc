// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The soak's own checks. //tests/soak:soak_smoke_test runs it for a moment.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "gtest/gtest.h"
#include "tricolor/tests/soak/findings.h"
#include "tricolor/tests/soak/ground.h"
#include "tricolor/tests/soak/resident.h"

namespace tricolor::soak {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// `growth`: over the whole series. At first the program comes to its size, and
// then it breathes.
ResidentSeries Series(size_t samples, uint64_t growth) {
  ResidentSeries series;
  for (size_t i = 0; i < samples; ++i) {
    const uint64_t coming = i < samples / 5 ? i * 500 / samples : 100;
    const uint64_t breath = i % 7 * 5;
    series.Add((coming + breath) * kMiB + growth * i / samples);
  }
  return series;
}

TEST(ResidentSeriesTest, SizeThatStaysDoesNotCreep) {
  EXPECT_FALSE(Series(1000, 0).Creeps());
  EXPECT_NEAR(static_cast<double>(Series(1000, 0).MeanOfQuarter(3)),
              115.0 * kMiB, 1.0 * kMiB);
  EXPECT_EQ(Series(1000, 0).Peak(), 130 * kMiB);
}

TEST(ResidentSeriesTest, SizeThatGrowsCreeps) {
  EXPECT_TRUE(Series(1000, 100 * kMiB).Creeps());
  // As fast, but who can tell?
  EXPECT_FALSE(Series(ResidentSeries::kFewest - 1, 100 * kMiB).Creeps());
}

TEST(ResidentTest, ProcessHasResidentMemory) {
  EXPECT_GT(ResidentBytes(), kMiB);
}

TEST(FindingsTest, TheFirstCounts) {
  Findings findings;
  findings.Check(true, "fine");
  EXPECT_FALSE(findings.failed());
  findings.Check(false, "first");
  findings.Fail("second");
  EXPECT_TRUE(findings.failed());
  EXPECT_EQ(findings.first(), "first");
}

TEST(CountedCallTest, SecondRunIsAFinding) {
  Counts counts;
  Findings findings;
  {
    CountedCall call(counts, findings);
    CountedCall moved(std::move(call));
    EXPECT_EQ(counts.calls_pending(), 1U);
    moved.Run();
    EXPECT_FALSE(findings.failed());
    moved.Run();
    EXPECT_TRUE(findings.failed());
    const CountedCall dropped(counts, findings);
  }
  EXPECT_EQ(counts.calls_added, 2U);
  EXPECT_EQ(counts.calls_dropped, 1U);
}

// What one object of each kind looks like when something has been lost.
TEST(ObjectsTest, DamageIsSeen) {
  Vertex a(1);
  Vertex b(2);
  a.ring = &b;
  b.ring = &a;
  Graph graph;
  graph.entry = &a;
  graph.vertices = 2;
  graph.sum = 3;
  EXPECT_TRUE(graph.whole());
  b.value = 7;
  EXPECT_FALSE(graph.whole());
  b.value = 2;
  b.ring = &b;
  EXPECT_FALSE(graph.whole());
  b.ring = nullptr;
  EXPECT_FALSE(graph.whole());
  Item item(5);
  EXPECT_TRUE(item.whole());
  Entry entry(1);
  entry.details = &a;
  EXPECT_TRUE(entry.whole());
  entry.details = &b;
  EXPECT_FALSE(entry.whole());
}

}  // namespace
}  // namespace tricolor::soak
