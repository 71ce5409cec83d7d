// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/palloc_bits.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "tricolor/base/bits.h"

namespace tricolor::pagealloc {
namespace {

constexpr uint64_t kAllOnes = ~uint64_t{0};

uint32_t TrailingZeros(uint64_t w) {
  return static_cast<uint32_t>(std::countr_zero(w));
}
uint32_t TrailingOnes(uint64_t w) {
  return static_cast<uint32_t>(std::countr_one(w));
}
uint32_t LeadingZeros(uint64_t w) {
  return static_cast<uint32_t>(std::countl_zero(w));
}

// The bits below `n`, n < 64.
uint64_t LowBits(uint32_t n) { return (uint64_t{1} << n) - 1; }

// Calls `visit(word, mask)` for each word of a range, where `mask` has the bits
// of the range.
template <typename Visit>
void ForEachWord(uint32_t first, uint32_t count, Visit visit) {
  const uint32_t last = first + count - 1;
  const uint32_t first_word = first / 64;
  const uint32_t last_word = last / 64;
  const uint64_t head = kAllOnes << (first % 64);
  const uint64_t tail = kAllOnes >> (63 - last % 64);
  if (first_word == last_word) {
    visit(first_word, head & tail);
    return;
  }
  visit(first_word, head);
  for (uint32_t w = first_word + 1; w < last_word; ++w) visit(w, kAllOnes);
  visit(last_word, tail);
}

// The longest run of zeros in `words` that touches neither end of its word and
// is longer than `longest`, or else `longest`.
//
// Each step of the inner loop shortens every run by one, so a run survives
// `longest` steps exactly if it is longer; those steps are taken together by
// doubling, and most words drop out there.
uint32_t LongestInnerRun(const uint64_t* words, uint32_t longest) {
  constexpr uint32_t kMaxInner = 62;
  for (uint32_t w = 0; w < kChunkWords && longest < kMaxInner; ++w) {
    const uint64_t x = words[w];
    if (x == 0 || x == kAllOnes) continue;
    // The zeros between the lowest and the highest one, as ones.
    uint64_t zeros =
        ~x & (kAllOnes << TrailingZeros(x)) & (kAllOnes >> LeadingZeros(x));
    uint32_t shortened = 0;
    for (uint32_t step = 1; zeros != 0 && shortened < longest; step *= 2) {
      step = std::min(step, longest - shortened);
      zeros &= zeros >> step;
      shortened += step;
    }
    for (; zeros != 0; zeros &= zeros >> 1) ++longest;
  }
  return longest;
}

}  // namespace

void PallocBits::SetAll() {
  for (uint64_t& w : words_) w = kAllOnes;
}

void PallocBits::ClearAll() {
  for (uint64_t& w : words_) w = 0;
}

void PallocBits::SetRangeSlow(uint32_t first, uint32_t count) {
  ForEachWord(first, count,
              [this](uint32_t w, uint64_t mask) { words_[w] |= mask; });
}

void PallocBits::ClearRangeSlow(uint32_t first, uint32_t count) {
  ForEachWord(first, count,
              [this](uint32_t w, uint64_t mask) { words_[w] &= ~mask; });
}

uint32_t PallocBits::PopcountRangeSlow(uint32_t first, uint32_t count) const {
  uint32_t ones = 0;
  ForEachWord(first, count, [this, &ones](uint32_t w, uint64_t mask) {
    ones += Popcount(words_[w] & mask);
  });
  return ones;
}

PallocBits::FindResult PallocBits::Find(uint32_t count, uint32_t hint) const {
  TRICOLOR_DCHECK(count > 0 && hint < kChunkPages,
                  "pagealloc: search for %u pages from %u", count, hint);
  if (count == 1) return FindOne(hint);
  if (count <= 64) return FindRun<true>(count, hint);
  return FindRun<false>(count, hint);
}

PallocBits::FindResult PallocBits::FindOne(uint32_t hint) const {
  uint64_t hidden = LowBits(hint % 64);
  for (uint32_t w = hint / 64; w < kChunkWords; ++w) {
    const uint64_t x = words_[w] | hidden;
    hidden = 0;
    if (x != kAllOnes) {
      const uint32_t i = w * 64 + TrailingOnes(x);
      return {i, i};
    }
  }
  return {kNotFound, kNotFound};
}

// A run either crosses into a word from the one below, where `below` zeros end,
// or lies within one word, which only one of at most 64 can.
template <bool kFitsWord>
PallocBits::FindResult PallocBits::FindRun(uint32_t count,
                                           uint32_t hint) const {
  uint32_t first_free = kNotFound;
  uint32_t below = 0;
  uint64_t hidden = LowBits(hint % 64);
  for (uint32_t w = hint / 64; w < kChunkWords; ++w) {
    const uint64_t x = words_[w] | hidden;
    hidden = 0;
    if (x == kAllOnes) {
      below = 0;
      continue;
    }
    if (first_free == kNotFound) first_free = w * 64 + TrailingOnes(x);
    if (below + TrailingZeros(x) >= count) return {w * 64 - below, first_free};
    if constexpr (kFitsWord) {
      const auto i = static_cast<uint32_t>(FindBitRange64(~x, count));
      if (i < 64) return {w * 64 + i, first_free};
    }
    below = x == 0 ? below + 64 : LeadingZeros(x);
  }
  return {kNotFound, first_free};
}

PallocSum PallocBits::Summarize() const {
  uint32_t start = kNotFound;
  uint32_t max = 0;
  uint32_t below = 0;  // zeros that end at the word
  for (const uint64_t x : words_) {
    if (x == 0) {
      below += 64;
      continue;
    }
    const uint32_t run = below + TrailingZeros(x);
    if (start == kNotFound) start = run;
    max = std::max(max, run);
    below = LeadingZeros(x);
  }
  if (start == kNotFound) return PallocSum::AllFree(kChunkPages);
  max = std::max(max, below);
  return PallocSum::Pack(start, LongestInnerRun(words_, max), below);
}

ChunkRange PallocBits::ExtendOverZeros(uint32_t first, uint32_t count) const {
  uint32_t begin = first;
  while (begin > 0) {
    // The bits below `begin`, moved up to the top of the word.
    const uint32_t room = (begin - 1) % 64 + 1;
    const uint64_t below = words_[(begin - 1) / 64] << (64 - room);
    if (below != 0) {
      begin -= LeadingZeros(below);
      break;
    }
    begin -= room;
  }
  uint32_t end = first + count;
  while (end < kChunkPages) {
    const uint64_t above = words_[end / 64] >> (end % 64);
    if (above != 0) {
      end += TrailingZeros(above);
      break;
    }
    end += 64 - end % 64;
  }
  return {begin, end - begin};
}

PallocSum PallocBits::SummarizeAfterSet(PallocSum old, uint32_t first,
                                        uint32_t count) const {
  const ChunkRange run = ExtendOverZeros(first, count);
  uint32_t max = old.max();
  if (run.count == max) {
    // A longest run has become shorter. Others have room only beside it.
    max = std::max(first - run.first, run.first + run.count - (first + count));
    if (max < kChunkPages - run.count) return Summarize();
  }
  const bool at_start = run.first == 0;
  const bool at_end = run.first + run.count == kChunkPages;
  return PallocSum::Pack(at_start ? first : old.start(), max,
                         at_end ? kChunkPages - (first + count) : old.end());
}

PallocSum PallocBits::SummarizeAfterClear(PallocSum old, uint32_t first,
                                          uint32_t count) const {
  const ChunkRange run = ExtendOverZeros(first, count);
  const bool at_start = run.first == 0;
  const bool at_end = run.first + run.count == kChunkPages;
  return PallocSum::Pack(at_start ? run.count : old.start(),
                         std::max(old.max(), run.count),
                         at_end ? run.count : old.end());
}

}  // namespace tricolor::pagealloc
