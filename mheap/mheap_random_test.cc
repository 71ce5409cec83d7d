// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Random operations against the model, with memory granted and refused.

#include <cstdint>

#include "gtest/gtest.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/mheap/mheap_tester.h"
#include "tricolor/mheap/mheap_testing.h"

namespace tricolor::mheap {
namespace {

struct Variant {
  const char* name;
  MHeapTesterOptions options;
};

const Variant kVariants[] = {
    {"Default", {}},
    {"OsPagesOf16KiB", {.os = {.page_size = ByteCount(16 << 10)}}},
    {"OsPagesOf64KiB", {.os = {.page_size = ByteCount(64 << 10)}}},
    {"JunkAfterScavenge", {.os = {.unused_memory_is_zero = false}}},
    {"HugePages",
     {.heap = {.reservation = kArenaSize * 3,
               .huge_pages_from = ByteCount(0)}}},
    {"NoCaches",
     {.heap = {.reservation = kArenaSize, .use_processor_caches = false}}},
    {"MappedLimit",
     {.heap = {.reservation = kArenaSize, .max_mapped = ByteCount(12 << 20)}}},
};

class MHeapRandomTest : public testing::TestWithParam<Variant> {};

TEST_P(MHeapRandomTest, AgreesWithTheModel) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  Random random(seed);
  MHeapTester tester(GetParam().options);
  for (int i = 1; i <= 6000; ++i) {
    tester.Step(random());
    if (i % 500 == 0) tester.Check();
  }
  EXPECT_GT(tester.spans_made(), 100u);
}

TEST_P(MHeapRandomTest, SurvivesRandomRefusals) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(seed);
  Random random(seed);
  MHeapTester tester(GetParam().options);
  tester.set_failing(true);
  for (int i = 1; i <= 4000; ++i) {
    if (i % 256 == 1) tester.os().FailRandomly(random(), 0.2);
    if (i % 256 == 129) tester.os().StopFailing();
    tester.Step(random());
    if (i % 200 == 0) tester.Check();
  }
  EXPECT_GT(tester.os().failures(), 5u);
}

INSTANTIATE_TEST_SUITE_P(, MHeapRandomTest, testing::ValuesIn(kVariants),
                         [](const auto& variant) {
                           return variant.param.name;
                         });

}  // namespace
}  // namespace tricolor::mheap
