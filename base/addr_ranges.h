// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A sorted list of disjoint address ranges, neighbors joined: which addresses
// a page allocator owns. A few ranges are the rule, so the first 16 are kept
// inside; a longer list moves to a PersistentAlloc and doubles there.
//
// Go counterpart: addrRanges in mranges.go. Thread-compatible.
// INV-BASE-4: ranges are not empty, ascend, and do not touch each other.
// INV-BASE-5: total_bytes() is the sum of their sizes.
// Cost: searches O(log n), Add and removals O(n).

#ifndef TRICOLOR_BASE_ADDR_RANGES_H_
#define TRICOLOR_BASE_ADDR_RANGES_H_

#include <cstdint>
#include <optional>

#include "tricolor/base/persistent_alloc.h"
#include "tricolor/base/units.h"

namespace tricolor {

class AddrRanges {
 public:
  static constexpr uint64_t kInlineCapacity = 16;

  // `memory` outlives the list; a list that has outgrown an array leaves it to
  // `memory`.
  explicit AddrRanges(PersistentAlloc& memory) : memory_(memory) {}
  AddrRanges(const AddrRanges&) = delete;
  AddrRanges& operator=(const AddrRanges&) = delete;

  // Adds a range that is not empty and overlaps none in the list (fatal
  // otherwise). False when memory for a longer list is refused; nothing is
  // changed then.
  [[nodiscard]] bool Add(AddrRange range);

  // The index of the first range whose base is greater than `addr`; size()
  // when there is none. The range before it is the only one that may contain
  // `addr`.
  uint64_t FindSucc(Addr addr) const;
  bool Contains(Addr addr) const;
  // The smallest address in the list that is at least `addr`.
  std::optional<Addr> FindAddrGreaterEqual(Addr addr) const;

  // Removes and returns the last range, or only its last `bytes` when it is
  // longer than that. An empty range when the list is empty or `bytes` is 0.
  AddrRange RemoveLast(ByteCount bytes);
  // Removes all addresses from `addr` on; a range that contains it is cut.
  void RemoveGreaterEqual(Addr addr);
  void Clear() { RemoveGreaterEqual(Addr()); }

  uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  ByteCount total_bytes() const { return total_bytes_; }
  // index < size().
  const AddrRange& operator[](uint64_t index) const { return ranges_[index]; }
  const AddrRange* begin() const { return ranges_; }
  const AddrRange* end() const { return ranges_ + size_; }

  // Fatal when INV-BASE-4 or INV-BASE-5 does not hold.
  void CheckInvariants() const;

 private:
  [[nodiscard]] bool Grow();
  void InsertAt(uint64_t index, AddrRange range);
  void EraseAt(uint64_t index);

  PersistentAlloc& memory_;
  AddrRange* ranges_ = inline_ranges_;
  uint64_t size_ = 0;
  uint64_t capacity_ = kInlineCapacity;
  ByteCount total_bytes_;
  AddrRange inline_ranges_[kInlineCapacity] = {};
};

}  // namespace tricolor

#endif  // TRICOLOR_BASE_ADDR_RANGES_H_
