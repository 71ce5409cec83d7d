// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/mark_item.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::gc {
namespace {

// The lowest address of a slot and the highest ones of user space: 47 bits on
// x86-64, 48 on AArch64.
constexpr uint64_t kAddresses[] = {8, uint64_t{1} << 46,
                                   (uint64_t{1} << 47) - 8, uint64_t{1} << 47,
                                   (uint64_t{1} << 48) - 8};

TEST(MarkItemTest, KeepsAllThatItWasMadeOf) {
  for (const uint64_t address : kAddresses) {
    for (unsigned i = 0; i < mheap::kSpanClasses; ++i) {
      const auto span_class =
          mheap::SpanClass::FromIndex(static_cast<uint8_t>(i));
      if (span_class.is_large()) continue;
      const ClassRecord& record = kClassRecords[i + 1];
      for (const uint32_t index : {0u, 1u, 63u, 64u, record.slots() - 1}) {
        const MarkItem item = MarkItem::Small(address, i + 1, record, index);
        ASSERT_EQ(item.address(), Addr(address));
        ASSERT_EQ(item.mark_bit(), uint64_t{1} << index % 64);
        ASSERT_EQ(item.kind(), static_cast<MarkItem::Kind>(span_class.kind()));
        ASSERT_EQ(&item.record(), &record);
      }
    }
  }
}

TEST(MarkItemTest, KeepsTheAddressOfALargeSlice) {
  for (const uint64_t address : kAddresses) {
    const MarkItem item = MarkItem::LargeSlice(Addr(address));
    EXPECT_EQ(item.address(), Addr(address));
    EXPECT_EQ(item.kind(), MarkItem::kLargeSlice);
    EXPECT_EQ(item.record().slots(), 0u);
  }
}

}  // namespace
}  // namespace tricolor::gc
