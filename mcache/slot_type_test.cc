// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcache/slot_type.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"
#include "tricolor/mcentral/test_heap.h"
#include "tricolor/mheap/size_classes.h"

namespace tricolor::mcache {
namespace {

using mheap::MSpan;
using mheap::SpanClass;
using mheap::SpanKind;

TEST(RepeatedBitsTest, RepeatsFromAnyPhase) {
  TestRandom random(TestSeed());
  for (unsigned period = 1; period <= 64; ++period) {
    for (unsigned phase = 0; phase < period; ++phase) {
      const uint64_t bits = random.Next() & LowMask(period);
      uint64_t expected = 0;
      for (unsigned i = 0; i < 64; ++i) {
        expected |= ((bits >> ((phase + i) % period)) & 1) << i;
      }
      ASSERT_EQ(RepeatedBits(bits, period, phase), expected)
          << "period " << period << ", phase " << phase;
    }
  }
}

class PointerBitsTest : public testing::Test {
 protected:
  // Calls body(span, slot words) for a span of each bitmap class.
  template <typename Body>
  void ForEachClass(const Body& body) {
    for (uint8_t size_class = 1; size_class < mheap::kSizeClasses;
         ++size_class) {
      const SpanClass c(size_class, SpanKind::kPointerBitmap);
      if (c.slots() == 0) break;
      MSpan* span = t_.heap.AllocSpan(t_.processor, c);
      ASSERT_NE(span, nullptr);
      body(span, static_cast<unsigned>(c.slot_size() / 8));
    }
  }
  static void* SlotAt(MSpan* span, uint32_t index) {
    return span->SlotAddress(index).pointer();
  }

  mcentral::TestHeap t_;
  TestRandom random_{TestSeed()};
};

TEST_F(PointerBitsTest, AreWhereTheSpanLooksForThem) {
  ForEachClass([this](MSpan* span, unsigned words) {
    std::vector<uint64_t> expected(span->slots());
    for (uint32_t n = 0; n < 4 * span->slots(); ++n) {
      const auto i = static_cast<uint32_t>(random_.Below(span->slots()));
      expected[i] = random_.Next() & LowMask(words);
      WritePointerBits(SlotAt(span, i), words * 8, expected[i]);
    }
    for (uint32_t i = 0; i < span->slots(); ++i) {
      ASSERT_EQ(span->PointerBits(i), expected[i]) << "slot " << i;
    }
  });
}

TEST_F(PointerBitsTest, OfARunAreThoseOfEachOfItsSlotsAndOfNoOther) {
  ForEachClass([this](MSpan* span, unsigned words) {
    std::vector<uint64_t> expected(span->slots());
    for (int n = 0; n < 20; ++n) {
      const auto first = static_cast<uint32_t>(random_.Below(span->slots()));
      const auto end = static_cast<uint32_t>(
          first + random_.Below(span->slots() - first + 1));
      const uint64_t bits = random_.Next() & LowMask(words);
      for (uint32_t i = first; i < end; ++i) expected[i] = bits;
      WritePointerBitsOfRun(span->SlotAddress(first).value(),
                            span->SlotAddress(end).value(), words * 8, bits);
      for (uint32_t i = 0; i < span->slots(); ++i) {
        ASSERT_EQ(span->PointerBits(i), expected[i]) << "slot " << i;
      }
    }
  });
}

}  // namespace
}  // namespace tricolor::mcache
