// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcache/slot_type.h"

#include <algorithm>

#include "absl/base/optimization.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/span_class.h"

namespace tricolor::mcache {
namespace {

// The first word of the bitmap of the span that an address lies in.
Atomic<uint64_t>* BitmapAt(uintptr_t address) {
  const uintptr_t page = AlignDown(address, kPageSize);
  return reinterpret_cast<Atomic<uint64_t>*>(page + kPageSize -
                                             mheap::kPointerBitmapBytes);
}

// Most objects find the bits of a former one of the same type, and then no
// cache line is dirtied.
void ReplaceBits(Atomic<uint64_t>& word, uint64_t mask, uint64_t bits) {
  const uint64_t old = word.LoadRelaxed();
  if (((old ^ bits) & mask) != 0) word.StoreRelaxed((old & ~mask) | bits);
}

}  // namespace

void WritePointerBits(void* slot, size_t slot_bytes, uint64_t bits) {
  const auto address = reinterpret_cast<uintptr_t>(slot);
  const auto index = static_cast<unsigned>(address % kPageSize / 8);
  Atomic<uint64_t>* word = BitmapAt(address) + index / 64;
  const unsigned shift = index % 64;
  const auto words = static_cast<unsigned>(slot_bytes / 8);
  const uint64_t mask = LowMask(words);
  ReplaceBits(word[0], mask << shift, bits << shift);
  if (ABSL_PREDICT_FALSE(shift + words > 64)) {
    ReplaceBits(word[1], mask >> (64 - shift), bits >> (64 - shift));
  }
}

void WritePointerBitsOfRun(uintptr_t first, uintptr_t limit, size_t slot_bytes,
                           uint64_t bits) {
  Atomic<uint64_t>* bitmap = BitmapAt(first);
  const auto period = static_cast<unsigned>(slot_bytes / 8);
  const auto begin = static_cast<unsigned>(first % kPageSize / 8);
  const unsigned end = begin + static_cast<unsigned>((limit - first) / 8);
  for (unsigned i = begin; i < end;) {
    const unsigned in_word = i % 64;
    const unsigned n = std::min(64 - in_word, end - i);
    const uint64_t value = RepeatedBits(bits, period, (i - begin) % period);
    ReplaceBits(bitmap[i / 64], RangeMask(in_word, n),
                (value & LowMask(n)) << in_word);
    i += n;
  }
}

}  // namespace tricolor::mcache
