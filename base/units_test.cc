// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/units.h"

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "gtest/gtest.h"

namespace tricolor {
namespace {

// Units do not turn into each other, nor come from or turn into integers.
static_assert(!std::is_convertible_v<uint64_t, ByteCount>);
static_assert(!std::is_convertible_v<ByteCount, uint64_t>);
static_assert(!std::is_constructible_v<ByteCount, PageCount>);
static_assert(!std::is_constructible_v<PageCount, ObjIndex>);
static_assert(!std::is_constructible_v<Addr, PageId>);
static_assert(!std::is_convertible_v<uint64_t, Addr>);
static_assert(!std::is_convertible_v<void*, Addr>);
static_assert(!std::is_convertible_v<uint64_t, PageId>);

template <typename A, typename B>
concept Addable = requires(A a, B b) {
  a + b;
};
template <typename A, typename B>
concept Comparable = requires(A a, B b) {
  a < b;
};
static_assert(Addable<Addr, ByteCount> && !Addable<Addr, PageCount>);
static_assert(Addable<PageId, PageCount> && !Addable<PageId, ByteCount>);
static_assert(!Addable<Addr, Addr> && !Addable<Addr, uint64_t>);
static_assert(!Comparable<ByteCount, PageCount>);
static_assert(!Comparable<Addr, uint64_t>);

// They cost what the integer costs.
static_assert(sizeof(ByteCount) == 8 && sizeof(Addr) == 8);
static_assert(sizeof(PageId) == 8 && sizeof(AddrRange) == 16);
static_assert(std::is_trivially_copyable_v<ByteCount>);
static_assert(std::is_trivially_copyable_v<Addr>);
static_assert(std::is_trivially_destructible_v<AddrRange>);

TEST(Units, QuantitiesCount) {
  static_assert(ByteCount() == ByteCount(0));
  static_assert(ByteCount(5) + ByteCount(3) == ByteCount(8));
  static_assert(ByteCount(5) - ByteCount(3) == ByteCount(2));
  static_assert(PageCount(5) * 2 == PageCount(10));
  static_assert(2 * PageCount(5) == PageCount(10));
  static_assert(PageCount(11) / PageCount(5) == 2);
  static_assert(PageCount(11) / 5 == PageCount(2));
  static_assert(PageCount(11) % PageCount(5) == PageCount(1));
  static_assert(ObjIndex(1) < ObjIndex(2));
  ByteCount n(1);
  n += ByteCount(4);
  n -= ByteCount(2);
  EXPECT_EQ(n, ByteCount(3));
}

TEST(Units, AddressesAlign) {
  static_assert(Addr().is_null() && !Addr(1).is_null());
  static_assert(Addr(4096).IsAligned(4096) && !Addr(4097).IsAligned(4096));
  static_assert(Addr(4097).AlignDown(4096) == Addr(4096));
  static_assert(Addr(4097).AlignUp(4096) == Addr(8192));
  static_assert(Addr(4096).AlignUp(4096) == Addr(4096));
  static_assert(Addr(10) - Addr(4) == ByteCount(6));
  static_assert(Addr(10) - ByteCount(4) == Addr(6));
  int object = 7;
  EXPECT_EQ(Addr(&object).pointer(), &object);
  EXPECT_EQ(*Addr(&object).as<int>(), 7);
}

TEST(Units, PagesAndBytesConvertByName) {
  static_assert(kPageSize == 8192);
  static_assert(PageContaining(Addr(8191)) == PageId(0));
  static_assert(PageContaining(Addr(8192)) == PageId(1));
  static_assert(AddressOf(PageId(3)) == Addr(3 * 8192));
  static_assert(PageId(3) + PageCount(2) == PageId(5));
  static_assert(PageId(5) - PageId(3) == PageCount(2));
  static_assert(BytesOf(PageCount(3)) == ByteCount(24576));
  static_assert(PagesIn(ByteCount(8191)) == PageCount(0));
  static_assert(PagesFor(ByteCount(0)) == PageCount(0));
  static_assert(PagesFor(ByteCount(1)) == PageCount(1));
  static_assert(PagesFor(ByteCount(8192)) == PageCount(1));
  static_assert(PagesFor(ByteCount(8193)) == PageCount(2));
  static_assert(PagesFor(ByteCount(0) - ByteCount(kPageSize)) ==
                PagesIn(ByteCount(0) - ByteCount(kPageSize)));
}

TEST(Units, RangesAreHalfOpen) {
  constexpr AddrRange range{Addr(16), Addr(32)};
  static_assert(range.size() == ByteCount(16) && !range.empty());
  static_assert(range.Contains(Addr(16)) && range.Contains(Addr(31)));
  static_assert(!range.Contains(Addr(15)) && !range.Contains(Addr(32)));
  static_assert(AddrRange{Addr(16), Addr(16)}.empty());
  static_assert(AddrRange{} == AddrRange{Addr(0), Addr(0)});
}

}  // namespace
}  // namespace tricolor
