// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/addr_ranges.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "tricolor/base/check.h"

namespace tricolor {

uint64_t AddrRanges::FindSucc(Addr addr) const {
  const AddrRange* succ = std::upper_bound(
      begin(), end(), addr,
      [](Addr a, const AddrRange& range) { return a < range.base; });
  return static_cast<uint64_t>(succ - begin());
}

bool AddrRanges::Contains(Addr addr) const {
  const uint64_t succ = FindSucc(addr);
  return succ > 0 && ranges_[succ - 1].Contains(addr);
}

std::optional<Addr> AddrRanges::FindAddrGreaterEqual(Addr addr) const {
  const uint64_t succ = FindSucc(addr);
  if (succ > 0 && ranges_[succ - 1].Contains(addr)) return addr;
  if (succ < size_) return ranges_[succ].base;
  return std::nullopt;
}

bool AddrRanges::Add(AddrRange range) {
  TRICOLOR_CHECK(range.base < range.limit,
                 "range %p..%p added to a list of ranges is empty",
                 range.base.pointer(), range.limit.pointer());
  const uint64_t succ = FindSucc(range.base);
  TRICOLOR_CHECK(succ == 0 || ranges_[succ - 1].limit <= range.base,
                 "range %p..%p overlaps %p..%p", range.base.pointer(),
                 range.limit.pointer(), ranges_[succ - 1].base.pointer(),
                 ranges_[succ - 1].limit.pointer());
  TRICOLOR_CHECK(succ == size_ || range.limit <= ranges_[succ].base,
                 "range %p..%p overlaps %p..%p", range.base.pointer(),
                 range.limit.pointer(), ranges_[succ].base.pointer(),
                 ranges_[succ].limit.pointer());
  const bool joins_down = succ > 0 && ranges_[succ - 1].limit == range.base;
  const bool joins_up = succ < size_ && ranges_[succ].base == range.limit;
  if (joins_down && joins_up) {
    ranges_[succ - 1].limit = ranges_[succ].limit;
    EraseAt(succ);
  } else if (joins_down) {
    ranges_[succ - 1].limit = range.limit;
  } else if (joins_up) {
    ranges_[succ].base = range.base;
  } else {
    if (size_ == capacity_ && !Grow()) return false;
    InsertAt(succ, range);
  }
  total_bytes_ += range.size();
  return true;
}

AddrRange AddrRanges::RemoveLast(ByteCount bytes) {
  if (size_ == 0 || bytes == ByteCount(0)) return {};
  AddrRange& last = ranges_[size_ - 1];
  AddrRange removed = last;
  if (removed.size() > bytes) {
    removed.base = removed.limit - bytes;
    last.limit = removed.base;
  } else {
    --size_;
  }
  total_bytes_ -= removed.size();
  return removed;
}

void AddrRanges::RemoveGreaterEqual(Addr addr) {
  const uint64_t succ = FindSucc(addr);
  for (uint64_t i = succ; i < size_; ++i) total_bytes_ -= ranges_[i].size();
  size_ = succ;
  // The range before may contain `addr`; nothing of it stays when it begins
  // there.
  if (succ == 0 || !ranges_[succ - 1].Contains(addr)) return;
  AddrRange& cut = ranges_[succ - 1];
  total_bytes_ -= cut.limit - addr;
  cut.limit = addr;
  if (cut.empty()) --size_;
}

bool AddrRanges::Grow() {
  const uint64_t capacity = 2 * capacity_;
  void* memory = memory_.Allocate(ByteCount(capacity * sizeof(AddrRange)),
                                  alignof(AddrRange));
  if (memory == nullptr) return false;
  AddrRange* ranges = static_cast<AddrRange*>(memory);
  std::copy(begin(), end(), ranges);
  ranges_ = ranges;
  capacity_ = capacity;
  return true;
}

void AddrRanges::InsertAt(uint64_t index, AddrRange range) {
  std::copy_backward(ranges_ + index, ranges_ + size_, ranges_ + size_ + 1);
  ranges_[index] = range;
  ++size_;
}

void AddrRanges::EraseAt(uint64_t index) {
  std::copy(ranges_ + index + 1, ranges_ + size_, ranges_ + index);
  --size_;
}

void AddrRanges::CheckInvariants() const {
  ByteCount total;
  for (uint64_t i = 0; i < size_; ++i) {
    const AddrRange& range = ranges_[i];
    TRICOLOR_CHECK(range.base < range.limit,
                   "range %llu, %p..%p, is empty [INV-BASE-4]",
                   static_cast<unsigned long long>(i), range.base.pointer(),
                   range.limit.pointer());
    TRICOLOR_CHECK(i == 0 || ranges_[i - 1].limit < range.base,
                   "range %llu, %p..%p, does not lie above %p..%p "
                   "[INV-BASE-4]",
                   static_cast<unsigned long long>(i), range.base.pointer(),
                   range.limit.pointer(), ranges_[i - 1].base.pointer(),
                   ranges_[i - 1].limit.pointer());
    total += range.size();
  }
  TRICOLOR_CHECK(total == total_bytes_,
                 "ranges have %llu bytes, the count says %llu [INV-BASE-5]",
                 static_cast<unsigned long long>(total.value()),
                 static_cast<unsigned long long>(total_bytes_.value()));
}

}  // namespace tricolor
