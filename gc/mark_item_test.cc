// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/gc/mark_item.h"

#include <array>
#include <cstdint>

#include "gtest/gtest.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/page_info.h"
#include "tricolor/mheap/size_classes.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::gc {
namespace {

// The lowest address of a slot and the highest ones of user space: 47 bits on
// x86-64, 48 on AArch64.
constexpr uint64_t kAddresses[] = {8, uint64_t{1} << 46,
                                   (uint64_t{1} << 47) - 8, uint64_t{1} << 47,
                                   (uint64_t{1} << 48) - 8};

constexpr uint8_t kClassBytes = mheap::kSpanClasses + 1;

mheap::SpanClass ClassOf(uint32_t class_byte) {
  return mheap::SpanClass::FromIndex(static_cast<uint8_t>(class_byte - 1));
}

TEST(MarkItemTest, KeepsAllThatItWasMadeOf) {
  for (const uint64_t address : kAddresses) {
    for (uint8_t i = 1; i < kClassBytes; ++i) {
      if (ClassOf(i).is_large()) continue;
      const MarkItem item = MarkItem::Small(Addr(address), i);
      ASSERT_EQ(item.address(), Addr(address));
      ASSERT_EQ(item.kind(), static_cast<MarkItem::Kind>(ClassOf(i).kind()));
      ASSERT_EQ(&item.record(), &kClassRecords[i]);
    }
  }
}

TEST(CandidateTest, KnowsItsSlotAndItsMark) {
  std::array<mheap::MarkWord, mheap::kMaxSlots / 64> marks;
  constexpr uint64_t kCommon = mheap::PageInfo::kCommonPointers;
  for (const uint64_t address : kAddresses) {
    for (uint8_t i = 1; i < kClassBytes; ++i) {
      if (ClassOf(i).is_large()) continue;
      const ClassRecord& record = kClassRecords[i];
      // All of the span lies below the address, or begins at 0.
      const uint64_t bytes = ClassOf(i).pages() * kPageSize;
      const Addr span =
          Addr(address < bytes ? 0 : address - bytes).AlignDown(kPageSize);
      for (const uint32_t index : {0u, 1u, 63u, 64u, record.slots() - 1}) {
        if (index >= record.slots()) continue;
        const mheap::PageInfo info(ClassOf(i), 0, marks.data(), kCommon);
        const Candidate candidate(span, index, info);
        ASSERT_EQ(candidate.span(), span);
        ASSERT_EQ(&candidate.mark_word(), &marks[index / 64]);
        ASSERT_EQ(candidate.mark_bit(), uint64_t{1} << index % 64);
        ASSERT_EQ(&candidate.record(), &record);
        const Addr slot = span + ByteCount(ClassOf(i).slot_size() * index);
        ASSERT_EQ(candidate.item().word(),
                  MarkItem::Small(slot, i).word() | kCommon << 56);
        ASSERT_EQ(candidate.item().common_pointers(), kCommon);
        ASSERT_EQ(candidate.item().address(), slot);
        ASSERT_EQ(&candidate.item().record(), &record);
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
