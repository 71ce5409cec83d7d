// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/lazy_array.h"

#include <cstdint>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"

namespace tricolor {
namespace {

constexpr uint64_t kGranuleBytes = LazyRegion::kGranule.value();
static_assert(IsPowerOfTwo(kGranuleBytes));

bool TestBit(const Atomic<uint64_t>* bits, uint64_t index) {
  // Acquire, pairs with SetBits: what the OS was asked for is there.
  return (bits[index / 64].LoadAcquire() >> (index % 64) & 1) != 0;
}

// The end of the run of equal bits that starts at `first`, at most `limit`.
uint64_t EndOfRun(const Atomic<uint64_t>* bits, uint64_t first,
                  uint64_t limit) {
  const uint64_t flip = TestBit(bits, first) ? ~uint64_t{0} : 0;
  uint64_t index = first;
  while (index < limit) {
    const uint64_t differing =
        (bits[index / 64].LoadRelaxed() ^ flip) >> (index % 64);
    if (differing != 0) {
      index += static_cast<uint64_t>(CountTrailingZeros(differing));
      break;
    }
    index = AlignDown(index, 64) + 64;
  }
  return index < limit ? index : limit;
}

void SetBits(Atomic<uint64_t>* bits, uint64_t first, uint64_t limit) {
  while (first < limit) {
    const uint64_t in_word = first % 64;
    const uint64_t n =
        limit - first < 64 - in_word ? limit - first : 64 - in_word;
    const uint64_t mask =
        RangeMask(static_cast<unsigned>(in_word), static_cast<unsigned>(n));
    Atomic<uint64_t>& word = bits[first / 64];
    // Release, pairs with TestBit. One writer at a time, so no exchange.
    word.StoreRelease(word.LoadRelaxed() | mask);
    first += n;
  }
}

unsigned long long Print(ByteCount n) { return n.value(); }

}  // namespace

LazyRegion::~LazyRegion() {
  if (!base_.is_null()) os_.Free(reservation_);
}

bool LazyRegion::Init(ByteCount size) {
  TRICOLOR_CHECK(base_.is_null() && size > ByteCount(0),
                 "lazy region at %p initialized twice or with 0 bytes (%llu)",
                 base_.pointer(), Print(size));
  const uint64_t page = os_.page_size().value();
  TRICOLOR_CHECK(page <= kGranuleBytes,
                 "OS page size %llu exceeds the granule of %llu bytes",
                 Print(os_.page_size()), Print(kGranule));
  const uint64_t granules = DivideRoundUp(size.value(), kGranuleBytes);
  const uint64_t words = DivideRoundUp(granules, 64);
  const ByteCount data(granules * kGranuleBytes);
  const ByteCount bits(AlignUp(2 * words * sizeof(uint64_t), page));
  if (data < size || data + bits < size) return false;  // wrapped around
  const Addr base = os_.Reserve(data + bits, kGranule);
  if (base.is_null()) return false;
  const AddrRange bit_range{base + data, base + data + bits};
  if (!os_.Map(bit_range) || !os_.Used(bit_range)) {
    os_.Free({base, bit_range.limit});
    return false;
  }
  base_ = base;
  size_ = size;
  granules_ = granules;
  reservation_ = {base, bit_range.limit};
  committed_bits_ = bit_range.base.as<Atomic<uint64_t>>();
  mapped_bits_ = committed_bits_ + words;
  return true;
}

bool LazyRegion::EnsureCommitted(ByteCount offset, ByteCount size) {
  TRICOLOR_CHECK(offset <= size_ && size <= size_ - offset,
                 "bytes [%llu, +%llu) are outside the lazy region at %p of "
                 "%llu bytes",
                 Print(offset), Print(size), base_.pointer(), Print(size_));
  if (size == ByteCount(0)) return true;
  uint64_t index = offset / kGranule;
  const uint64_t limit = DivideRoundUp((offset + size).value(), kGranuleBytes);
  while (index < limit) {
    const uint64_t end = EndOfRun(committed_bits_, index, limit);
    if (!TestBit(committed_bits_, index) && !CommitRun(index, end)) {
      return false;
    }
    index = end;
  }
  return true;
}

// A run may hold granules that an earlier call mapped before the OS refused
// to make them usable; mapping is not repeated for those.
bool LazyRegion::CommitRun(uint64_t first, uint64_t limit) {
  for (uint64_t index = first; index < limit;) {
    const uint64_t end = EndOfRun(mapped_bits_, index, limit);
    if (!TestBit(mapped_bits_, index)) {
      if (!os_.Map(RangeOf(index, end))) return false;
      SetBits(mapped_bits_, index, end);
    }
    index = end;
  }
  if (!os_.Used(RangeOf(first, limit))) return false;
  SetBits(committed_bits_, first, limit);
  committed_.AddOwned(RangeOf(first, limit).size().value());
  return true;
}

AddrRange LazyRegion::RangeOf(uint64_t first, uint64_t limit) const {
  return {base_ + kGranule * first, base_ + kGranule * limit};
}

bool LazyRegion::IsCommitted(ByteCount offset) const {
  TRICOLOR_DCHECK(offset < size_,
                  "byte %llu is outside the lazy region at %p of %llu bytes",
                  Print(offset), base_.pointer(), Print(size_));
  return TestBit(committed_bits_, offset / kGranule);
}

void LazyRegion::CheckInvariants() const {
  if (base_.is_null()) return;
  uint64_t granules = 0;
  for (uint64_t i = 0; i < DivideRoundUp(granules_, 64); ++i) {
    const uint64_t committed = committed_bits_[i].LoadRelaxed();
    const uint64_t mapped = mapped_bits_[i].LoadRelaxed();
    TRICOLOR_CHECK((committed & ~mapped) == 0,
                   "lazy region at %p: word %llu has granules %#llx committed "
                   "but only %#llx mapped [INV-BASE-6]",
                   base_.pointer(), static_cast<unsigned long long>(i),
                   static_cast<unsigned long long>(committed),
                   static_cast<unsigned long long>(mapped));
    granules += static_cast<uint64_t>(PopCount(committed));
  }
  TRICOLOR_CHECK(kGranule * granules == committed(),
                 "lazy region at %p: bits say %llu bytes committed, the count "
                 "%llu [INV-BASE-6]",
                 base_.pointer(), Print(kGranule * granules),
                 Print(committed()));
}

}  // namespace tricolor
