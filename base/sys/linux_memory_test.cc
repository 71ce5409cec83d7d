// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/sys/linux_memory.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/bits.h"

namespace tricolor {
namespace {

constexpr ByteCount kMiB{1 << 20};

AddrRange RangeAt(Addr base, ByteCount size) { return {base, base + size}; }

// Pages of the range that are in memory; -1 when part of it is not mapped.
int64_t ResidentPages(AddrRange range) {
  const uint64_t page = ProcessMemory().page_size().value();
  std::vector<unsigned char> present(range.size().value() / page);
  if (mincore(range.base.pointer(), range.size().value(), present.data()) !=
      0) {
    EXPECT_EQ(errno, ENOMEM);
    return -1;
  }
  return std::count_if(present.begin(), present.end(),
                       [](unsigned char p) { return (p & 1) != 0; });
}

// What /proc/self/smaps says of the mapping that contains `addr`: its header
// line, and the line that starts with `field`.
std::string SmapsLine(Addr addr, const std::string& field) {
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    uint64_t base = 0;
    uint64_t limit = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " ", &base, &limit) ==
        2) {
      inside = base <= addr.value() && addr.value() < limit;
      if (inside && field.empty()) return line;
    } else if (inside && line.compare(0, field.size(), field) == 0) {
      return line;
    }
  }
  return "";
}

class LinuxMemoryTest : public testing::Test {
 protected:
  AddrRange ReserveRange(ByteCount size) {
    const Addr base = os_.Reserve(size, os_.page_size());
    EXPECT_FALSE(base.is_null());
    return RangeAt(base, size);
  }
  AddrRange ReadyRange(ByteCount size) {
    const AddrRange range = ReserveRange(size);
    EXPECT_TRUE(os_.Map(range));
    EXPECT_TRUE(os_.Used(range));
    return range;
  }

  LinuxMemory os_;
};

TEST_F(LinuxMemoryTest, KnowsThePageSizes) {
  EXPECT_EQ(os_.page_size().value(),
            static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
  const uint64_t huge = os_.huge_page_size().value();
  EXPECT_TRUE(huge == 0 || (IsPowerOfTwo(huge) && huge > kPageSize));
  EXPECT_TRUE(os_.unused_memory_is_zero());
}

TEST_F(LinuxMemoryTest, ProcessMemoryIsOneObject) {
  EXPECT_EQ(&ProcessMemory(), &ProcessMemory());
  EXPECT_EQ(ProcessMemory().page_size(), os_.page_size());
}

TEST_F(LinuxMemoryTest, ReservationsAreAligned) {
  for (uint64_t alignment = 1; alignment <= uint64_t{1} << 30;
       alignment <<= 3) {
    const Addr base = os_.Reserve(kMiB, ByteCount(alignment));
    ASSERT_FALSE(base.is_null()) << alignment;
    EXPECT_TRUE(base.IsAligned(alignment)) << alignment;
    os_.Free(RangeAt(base, kMiB));
  }
}

TEST_F(LinuxMemoryTest, OverReservationIsTrimmed) {
  const ByteCount alignment(uint64_t{1} << 30);
  const Addr base = os_.Reserve(kMiB, alignment);
  ASSERT_FALSE(base.is_null());
  EXPECT_EQ(ResidentPages(RangeAt(base, kMiB)), 0);
  // The mapping is exactly the reservation, up to neighbors that the kernel
  // joined; those cannot have the slack's size.
  uint64_t first = 0;
  uint64_t last = 0;
  const std::string header = SmapsLine(base, "");
  ASSERT_EQ(std::sscanf(header.c_str(), "%" SCNx64 "-%" SCNx64, &first, &last),
            2);
  EXPECT_LT(last - first, alignment.value() / 2) << header;
  os_.Free(RangeAt(base, kMiB));
}

TEST_F(LinuxMemoryTest, VastReservationCostsNoMemory) {
  const AddrRange range = ReserveRange(ByteCount(uint64_t{64} << 30));
  EXPECT_EQ(ResidentPages({range.base, range.base + kMiB}), 0);
  // One part of it can be used by itself.
  const AddrRange part =
      RangeAt(range.base + ByteCount(uint64_t{32} << 30), kMiB);
  ASSERT_TRUE(os_.Map(part));
  ASSERT_TRUE(os_.Used(part));
  *part.base.as<int>() = 1;
  os_.Free(range);
}

TEST_F(LinuxMemoryTest, ImpossibleReservationIsRefused) {
  EXPECT_TRUE(
      os_.Reserve(ByteCount(uint64_t{1} << 62), os_.page_size()).is_null());
  // The sum of size and alignment wraps around.
  EXPECT_TRUE(
      os_.Reserve(ByteCount(0) - os_.page_size(), ByteCount(uint64_t{1} << 40))
          .is_null());
}

TEST_F(LinuxMemoryTest, UsedMemoryReadsAsZeroAndKeepsWrites) {
  const AddrRange range = ReadyRange(kMiB);
  unsigned char* bytes = range.base.as<unsigned char>();
  EXPECT_EQ(bytes[0], 0);
  EXPECT_EQ(bytes[kMiB.value() - 1], 0);
  std::memset(bytes, 7, kMiB.value());
  // Used again is harmless.
  ASSERT_TRUE(os_.Used(range));
  EXPECT_EQ(bytes[5000], 7);
  os_.Free(range);
}

TEST_F(LinuxMemoryTest, UnusedDropsThePagesAndZeroesThem) {
  const AddrRange range = ReadyRange(kMiB);
  unsigned char* bytes = range.base.as<unsigned char>();
  std::memset(bytes, 7, kMiB.value());
  const int64_t pages = static_cast<int64_t>(kMiB / os_.page_size());
  EXPECT_EQ(ResidentPages(range), pages);
  const AddrRange middle = {range.base + os_.page_size(),
                            range.limit - os_.page_size()};
  ASSERT_TRUE(os_.Unused(middle));
  EXPECT_EQ(ResidentPages(middle), 0);
  EXPECT_EQ(ResidentPages(range), 2);
  ASSERT_TRUE(os_.Used(middle));
  EXPECT_EQ(*middle.base.as<unsigned char>(), 0);
  EXPECT_EQ(bytes[0], 7);
  EXPECT_EQ(bytes[kMiB.value() - 1], 7);
  os_.Free(range);
}

TEST_F(LinuxMemoryTest, RefusedUnusedKeepsTheContents) {
  const AddrRange range = ReadyRange(os_.page_size());
  *range.base.as<int>() = 7;
  // The sanitizers make the library's mlock do nothing.
  if (syscall(SYS_mlock, range.base.pointer(), range.size().value()) != 0) {
    os_.Free(range);
    GTEST_SKIP() << "cannot lock memory here";
  }
  EXPECT_FALSE(os_.Unused(range));
  EXPECT_EQ(*range.base.as<int>(), 7);
  os_.Free(range);
}

TEST_F(LinuxMemoryTest, FreeUnmapsAllOrPartOfAReservation) {
  const AddrRange range = ReadyRange(kMiB * 3);
  const AddrRange middle = {range.base + kMiB, range.base + kMiB * 2};
  os_.Free(middle);
  EXPECT_EQ(ResidentPages(middle), -1);
  EXPECT_EQ(ResidentPages({range.base, middle.base}), 0);
  *range.base.as<int>() = 1;
  *(range.limit - ByteCount(8)).as<int>() = 1;
  os_.Free({range.base, middle.base});
  os_.Free({middle.limit, range.limit});
  EXPECT_EQ(ResidentPages({range.base, middle.base}), -1);
}

TEST_F(LinuxMemoryTest, HugePageAdviceOutlivesUnusedAndUsed) {
  if (os_.huge_page_size() == ByteCount(0)) GTEST_SKIP() << "no huge pages";
  const AddrRange range = ReadyRange(kMiB * 4);
  if (SmapsLine(range.base, "VmFlags:").empty()) {
    os_.Free(range);
    GTEST_SKIP() << "the kernel does not tell flags";
  }
  os_.HugePage(range);
  EXPECT_NE(SmapsLine(range.base, "VmFlags:").find(" hg"), std::string::npos);
  ASSERT_TRUE(os_.Unused(range));
  ASSERT_TRUE(os_.Used(range));
  EXPECT_NE(SmapsLine(range.base, "VmFlags:").find(" hg"), std::string::npos);
  os_.NoHugePage(range);
  EXPECT_NE(SmapsLine(range.base, "VmFlags:").find(" nh"), std::string::npos);
  os_.Free(range);
}

TEST_F(LinuxMemoryTest, MappingsHaveANameWhereTheKernelCan) {
  const AddrRange range = ReserveRange(kMiB);
  if (prctl(0x53564d41, 0, range.base.value(), range.size().value(),
            "tricolor") != 0) {
    os_.Free(range);
    GTEST_SKIP() << "the kernel cannot name mappings";
  }
  os_.Free(range);
  const AddrRange named = ReadyRange(kMiB);
  EXPECT_NE(SmapsLine(named.base, "").find("[anon:tricolor]"),
            std::string::npos);
  os_.Free(named);
}

using LinuxMemoryDeathTest = LinuxMemoryTest;

TEST_F(LinuxMemoryDeathTest, TouchOfReservedMemoryFaults) {
  const AddrRange range = ReserveRange(kMiB);
  EXPECT_DEATH(*range.base.as<volatile int>() = 1, "");
  os_.Free(range);
}

#ifndef NDEBUG
TEST_F(LinuxMemoryDeathTest, RangesMustBeWholePages) {
  const AddrRange range = ReadyRange(kMiB);
  const AddrRange odd = {range.base + ByteCount(8), range.limit};
  const AddrRange empty = {range.base, range.base};
  const AddrRange reversed = {range.limit, range.base};
  EXPECT_DEATH((void)os_.Map(odd), "not of whole pages");
  EXPECT_DEATH((void)os_.Used(empty), "is empty");
  EXPECT_DEATH((void)os_.Unused(reversed), "is empty");
  EXPECT_DEATH(os_.HugePage(odd), "not of whole pages");
  EXPECT_DEATH(os_.NoHugePage(odd), "not of whole pages");
  EXPECT_DEATH(os_.Free(odd), "not of whole pages");
  EXPECT_DEATH((void)os_.Reserve(ByteCount(0), os_.page_size()), "is empty");
  EXPECT_DEATH((void)os_.Reserve(ByteCount(8), os_.page_size()), "whole pages");
  EXPECT_DEATH((void)os_.Reserve(kMiB, ByteCount(12288)), "power of two");
  os_.Free(range);
}
#endif

}  // namespace
}  // namespace tricolor
