// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Strong types for the units of the heap: bytes, pages, addresses, object
// indexes. They never convert into each other or from plain integers silently;
// `.value()` is the one way out. All are trivially copyable and as cheap as the
// integer inside.
//
// Go counterpart: plain uintptr everywhere; TCMalloc's Length and PageId are
// the model (tcmalloc/pages.h). Thread-compatible.

#ifndef TRICOLOR_BASE_UNITS_H_
#define TRICOLOR_BASE_UNITS_H_

#include <compare>
#include <cstddef>
#include <cstdint>

namespace tricolor {

// A heap page is 8 KiB whatever the page size of the operating system is
// (Go: _PageShift).
inline constexpr int kPageShift = 13;
inline constexpr size_t kPageSize = size_t{1} << kPageShift;

// A count of one unit. `Tag` only distinguishes the types.
template <typename Tag>
class Quantity {
 public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(uint64_t value) : value_(value) {}

  constexpr uint64_t value() const { return value_; }

  constexpr Quantity& operator+=(Quantity other) {
    value_ += other.value_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value_ -= other.value_;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) {
    return Quantity(a.value_ + b.value_);
  }
  friend constexpr Quantity operator-(Quantity a, Quantity b) {
    return Quantity(a.value_ - b.value_);
  }
  friend constexpr Quantity operator*(Quantity a, uint64_t factor) {
    return Quantity(a.value_ * factor);
  }
  friend constexpr Quantity operator*(uint64_t factor, Quantity a) {
    return a * factor;
  }
  friend constexpr uint64_t operator/(Quantity a, Quantity b) {
    return a.value_ / b.value_;
  }
  friend constexpr Quantity operator/(Quantity a, uint64_t divisor) {
    return Quantity(a.value_ / divisor);
  }
  friend constexpr Quantity operator%(Quantity a, Quantity b) {
    return Quantity(a.value_ % b.value_);
  }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;

 private:
  uint64_t value_ = 0;
};

using ByteCount = Quantity<struct ByteCountTag>;
using PageCount = Quantity<struct PageCountTag>;

// The index of an object slot within its span.
using ObjIndex = Quantity<struct ObjIndexTag>;

// A byte address. Null is the value 0.
class Addr {
 public:
  constexpr Addr() = default;
  constexpr explicit Addr(uint64_t value) : value_(value) {}
  // A template, so that Addr(0) is not ambiguous.
  template <typename T>
  explicit Addr(T* pointer) : value_(reinterpret_cast<uintptr_t>(pointer)) {}

  constexpr uint64_t value() const { return value_; }
  constexpr bool is_null() const { return value_ == 0; }
  void* pointer() const { return reinterpret_cast<void*>(value_); }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(value_);
  }

  // `alignment` is a power of two.
  constexpr bool IsAligned(uint64_t alignment) const {
    return (value_ & (alignment - 1)) == 0;
  }
  constexpr Addr AlignDown(uint64_t alignment) const {
    return Addr(value_ & ~(alignment - 1));
  }
  constexpr Addr AlignUp(uint64_t alignment) const {
    return Addr((value_ + alignment - 1) & ~(alignment - 1));
  }

  constexpr Addr& operator+=(ByteCount n) {
    value_ += n.value();
    return *this;
  }
  friend constexpr Addr operator+(Addr a, ByteCount n) {
    return Addr(a.value_ + n.value());
  }
  friend constexpr Addr operator-(Addr a, ByteCount n) {
    return Addr(a.value_ - n.value());
  }
  friend constexpr ByteCount operator-(Addr a, Addr b) {
    return ByteCount(a.value_ - b.value_);
  }
  friend constexpr auto operator<=>(Addr, Addr) = default;

 private:
  uint64_t value_ = 0;
};

// The absolute index of a heap page: its address divided by the page size.
class PageId {
 public:
  constexpr PageId() = default;
  constexpr explicit PageId(uint64_t index) : index_(index) {}

  constexpr uint64_t value() const { return index_; }
  friend constexpr PageId operator+(PageId p, PageCount n) {
    return PageId(p.index_ + n.value());
  }
  friend constexpr PageCount operator-(PageId a, PageId b) {
    return PageCount(a.index_ - b.index_);
  }
  friend constexpr auto operator<=>(PageId, PageId) = default;

 private:
  uint64_t index_ = 0;
};

constexpr PageId PageContaining(Addr a) {
  return PageId(a.value() >> kPageShift);
}
constexpr Addr AddressOf(PageId p) { return Addr(p.value() << kPageShift); }
constexpr ByteCount BytesOf(PageCount n) {
  return ByteCount(n.value() << kPageShift);
}
// Whole pages in `n`, rounded down.
constexpr PageCount PagesIn(ByteCount n) {
  return PageCount(n.value() >> kPageShift);
}
// Pages needed to hold `n`, rounded up; `n` is at most 2^64 - kPageSize.
constexpr PageCount PagesFor(ByteCount n) {
  return PageCount((n.value() + kPageSize - 1) >> kPageShift);
}

// A half-open range of addresses [base, limit).
struct AddrRange {
  Addr base;
  Addr limit;

  constexpr ByteCount size() const { return limit - base; }
  constexpr bool empty() const { return base == limit; }
  constexpr bool Contains(Addr a) const { return base <= a && a < limit; }
  friend constexpr bool operator==(AddrRange, AddrRange) = default;
};

}  // namespace tricolor

#endif  // TRICOLOR_BASE_UNITS_H_
