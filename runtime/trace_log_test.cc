// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// TRICOLOR_DEBUG and what gctrace=1 prints.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tricolor/runtime/debug_settings.h"
#include "tricolor/runtime/gc_log.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

using testing::MatchesRegex;

TEST(DebugSettingsTest, KnowsItsSwitches) {
  EXPECT_FALSE(ParseDebugSettings("").gctrace);
  EXPECT_TRUE(ParseDebugSettings("gctrace=1").gctrace);
  EXPECT_FALSE(ParseDebugSettings("gctrace=0").gctrace);
  EXPECT_FALSE(ParseDebugSettings("gctrace=1,,gctrace=0").gctrace);
  EXPECT_FALSE(ParseDebugSettings("").clobberfree);
  EXPECT_TRUE(ParseDebugSettings("clobberfree=1").clobberfree);
}

TEST(DebugSettingsTest, ZealIsANumber) {
  EXPECT_EQ(ParseDebugSettings("").zeal, 0U);
  EXPECT_EQ(ParseDebugSettings("zeal=0").zeal, 0U);
  EXPECT_EQ(ParseDebugSettings("gctrace=1,zeal=25").zeal, 25U);
  EXPECT_EQ(ParseDebugSettings("zeal=4294967295").zeal, UINT32_MAX);
}

TEST(DebugSettingsTest, ReportsAndIgnoresWhatItDoesNotKnow) {
  for (const char* text :
       {"gctrac=1", "gctrace=2", "gctrace", "=1", "gctrace=", " gctrace=1",
        "zeal=", "zeal=-1", "zeal=x", "zeal=1x", "zeal=4294967296"}) {
    testing::internal::CaptureStderr();
    EXPECT_FALSE(ParseDebugSettings(text).gctrace) << text;
    EXPECT_EQ(
        testing::internal::GetCapturedStderr(),
        std::string("tricolor: TRICOLOR_DEBUG: \"") + text +
            "\" is ignored (known: gctrace, scavtrace, checkcleanups, "
            "gccheckmark, gcpacertrace, gcstoptheworld, clobberfree: 0 or "
            "1; zeal: a number)\n");
  }
  testing::internal::CaptureStderr();
  EXPECT_TRUE(ParseDebugSettings("x=1,gctrace=1").gctrace);
  EXPECT_NE(testing::internal::GetCapturedStderr(), "");
}

TEST(DebugSettingsTest, ComesFromTheEnvironmentUnlessGiven) {
  setenv("TRICOLOR_DEBUG", "gctrace=1", 1);
  EXPECT_TRUE(DebugSettingsFrom(nullptr).gctrace);
  EXPECT_FALSE(DebugSettingsFrom("").gctrace);
  unsetenv("TRICOLOR_DEBUG");
  EXPECT_FALSE(DebugSettingsFrom(nullptr).gctrace);
}

TEST(GcLogTest, TheLineSaysItAll) {
  CycleRecord record;
  record.number = 12;
  record.since_start = 3'021'400'000;
  record.total_cpu = 120'000'000;
  record.machine_time = 2 * record.since_start;
  record.stop = 310'000;
  record.heap_at_trigger = 17 << 20;
  record.heap_at_stop = (18 << 20) - 1000;
  record.mark.marked_bytes = (9 << 20) + 1000;
  record.mark.marked_objects = 812345;
  record.goal = 20 << 20;
  record.workers = 2;
  record.forced = true;
  EXPECT_EQ(FormatCycle(record),
            "gc 12 @3.021s 1%: 0.31 ms stop, 17->18->9 MB, 20 MB goal, 812345 "
            "objects, 2 threads (forced)");
  record.goal = UINT64_MAX;
  record.workers = 1;
  record.forced = false;
  EXPECT_EQ(FormatCycle(record),
            "gc 12 @3.021s 1%: 0.31 ms stop, 17->18->9 MB, no goal, 812345 "
            "objects, 1 thread");
}

TEST(GcLogTest, ARefusedCycleHasALineOfItsOwn) {
  EXPECT_EQ(FormatRefusal(3'021'400'000, (17 << 20) + 1000, true),
            "gc refused: no memory for mark bits @3.021s, 17 MB (forced)");
  EXPECT_EQ(FormatRefusal(0, 0, false),
            "gc refused: no memory for mark bits @0.000s, 0 MB");
}

TEST(GcLogTest, EachCollectionPrintsOneLine) {
  HeapOptions options = ExactOptions();
  options.debug = "gctrace=1";
  options.gc_percent = 100;
  options.gc_threads = 2;
  testing::internal::CaptureStderr();
  {
    Heap heap(options);
    Mutator mutator(heap);
    Root<Node> list(mutator, MakeList(mutator, 100));
    while (heap.ReadMemStats().num_gc < 2) mutator.New<Leaf>();
    heap.Collect();
  }
  EXPECT_THAT(
      testing::internal::GetCapturedStderr(),
      MatchesRegex(
          "gc 1 @[0-9.]+s [0-9]+%: [0-9.+]+ ms stops, [34]->[34]->0 MB, "
          "4 MB goal, 100 objects, 2 threads\n"
          "gc 2 @[^\n]*, 100 objects, 2 threads\n"
          "gc 3 @[^\n]* MB, 4 MB goal, 100 objects, 2 threads "
          "\\(forced\\)\n"));
}

}  // namespace
}  // namespace tricolor::runtime
