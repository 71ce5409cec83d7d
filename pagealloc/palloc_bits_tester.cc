// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/palloc_bits_tester.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"

namespace tricolor::pagealloc {
namespace {

void CheckSum(PallocSum found, PallocSum expected, const char* name) {
  TRICOLOR_CHECK(found == expected,
                 "%s is (%u, %u, %u), the model's (%u, %u, %u)", name,
                 found.start(), found.max(), found.end(), expected.start(),
                 expected.max(), expected.end());
}

// A region's summary with what is beside it, from left to right.
PallocSum Joined(const PallocSum* children, unsigned count, uint32_t pages) {
  uint32_t start = 0;
  uint32_t max = 0;
  uint32_t run = 0;  // free pages up to here
  for (unsigned i = 0; i < count; ++i) {
    const PallocSum child = children[i];
    if (start == i * pages) start += child.start();
    max = std::max({max, run + child.start(), child.max()});
    run = child.max() == pages ? run + pages : child.end();
  }
  return PallocSum::Pack(start, std::max(max, run), run);
}

}  // namespace

PallocBitsTester::PallocBitsTester() : program_("PallocBitsTester t;") {
  for (uint32_t i = 0; i < kChunks; ++i) {
    chunks_[i].data.Reset();
    chunks_[i].scavenged.Set(0, kChunkPages, true);
    sums_[i] = PallocSum::AllFree(kChunkPages);
  }
  parent_ = PallocSum::AllFree(kChunks * kChunkPages);
}

ChunkRange PallocBitsTester::Clip(uint32_t first, uint32_t count) {
  first %= kChunkPages;
  return {first, 1 + count % (kChunkPages - first)};
}

ChunkRange PallocBitsTester::RunOf(const PlainBits& bits, bool value,
                                   uint32_t first, uint32_t count) {
  first %= kChunkPages;
  while (first < kChunkPages && bits.Get(first) != value) ++first;
  if (first == kChunkPages) return {0, 0};
  return {first, std::min(bits.RunFrom(first), 1 + count % kChunkPages)};
}

void PallocBitsTester::Allocate(uint32_t chunk, uint32_t first,
                                uint32_t count) {
  program_.Note("Allocate", chunk, first, count);
  Chunk& c = chunks_[chunk %= kChunks];
  const ChunkRange r = RunOf(c.used, false, first, count);
  if (r.count == 0) return;
  const uint32_t scavenged = c.data.Allocate(r.first, r.count);
  const uint32_t expected = c.scavenged.Ones(r.first, r.count);
  TRICOLOR_CHECK(scavenged == expected, "%u pages were scavenged, not %u",
                 scavenged, expected);
  c.used.Set(r.first, r.count, true);
  c.scavenged.Set(r.first, r.count, false);
  Changed(chunk, r, true);
}

void PallocBitsTester::Free(uint32_t chunk, uint32_t first, uint32_t count) {
  program_.Note("Free", chunk, first, count);
  Chunk& c = chunks_[chunk %= kChunks];
  const ChunkRange r = RunOf(c.used, true, first, count);
  if (r.count == 0) return;
  c.data.Free(r.first, r.count);
  c.used.Set(r.first, r.count, false);
  Changed(chunk, r, false);
}

void PallocBitsTester::Scavenge(uint32_t chunk, uint32_t first,
                                uint32_t count) {
  program_.Note("Scavenge", chunk, first, count);
  Chunk& c = chunks_[chunk %= kChunks];
  const ChunkRange r = RunOf(c.used, false, first, count);
  if (r.count == 0) return;
  c.data.Scavenge(r.first, r.count);
  c.scavenged.Set(r.first, r.count, true);
  Check(chunk);
}

void PallocBitsTester::AllocateBlock(uint32_t chunk, uint32_t page,
                                     uint64_t mask) {
  program_.Note("AllocateBlock", chunk, page, mask);
  Chunk& c = chunks_[chunk %= kChunks];
  page %= kChunkPages;
  mask &= ~c.data.used().Block64(page);
  c.data.AllocateBlock64(page, mask);
  for (uint32_t i = 0; i < 64; ++i) {
    if ((mask >> i & 1) == 0) continue;
    c.used.Set(page / 64 * 64 + i, 1, true);
    c.scavenged.Set(page / 64 * 64 + i, 1, false);
  }
  Recompute(chunk);
}

void PallocBitsTester::FreeBlock(uint32_t chunk, uint32_t page, uint64_t mask,
                                 bool scavenged) {
  program_.Note("FreeBlock", chunk, page, mask, scavenged);
  Chunk& c = chunks_[chunk %= kChunks];
  page %= kChunkPages;
  mask &= c.data.used().Block64(page);
  const uint64_t given_back = scavenged ? mask & 0x5555555555555555 : 0;
  c.data.FreeBlock64(page, mask, given_back);
  for (uint32_t i = 0; i < 64; ++i) {
    const uint32_t p = page / 64 * 64 + i;
    if ((mask >> i & 1) != 0) c.used.Set(p, 1, false);
    if ((given_back >> i & 1) != 0) c.scavenged.Set(p, 1, true);
  }
  Recompute(chunk);
}

void PallocBitsTester::Reset(uint32_t chunk) {
  program_.Note("Reset", chunk);
  Chunk& c = chunks_[chunk %= kChunks];
  c.data.Reset();
  c.used.Set(0, kChunkPages, false);
  c.scavenged.Set(0, kChunkPages, true);
  Recompute(chunk);
}

void PallocBitsTester::SetBits(uint32_t first, uint32_t count) {
  program_.Note("SetBits", first, count);
  const ChunkRange r = Clip(first, count);
  bits_.SetRange(r.first, r.count);
  plain_.Set(r.first, r.count, true);
  CheckEqual(bits_, plain_, "set");
  CheckSum(bits_.Summarize(), plain_.Summarize(), "the summary");
}

void PallocBitsTester::ClearBits(uint32_t first, uint32_t count) {
  program_.Note("ClearBits", first, count);
  const ChunkRange r = Clip(first, count);
  bits_.ClearRange(r.first, r.count);
  plain_.Set(r.first, r.count, false);
  CheckEqual(bits_, plain_, "set");
  CheckSum(bits_.Summarize(), plain_.Summarize(), "the summary");
}

void PallocBitsTester::Find(uint32_t chunk, uint32_t count, uint32_t hint) {
  program_.Note("Find", chunk, count, hint);
  const Chunk& c = chunks_[chunk % kChunks];
  count = 1 + count % kChunkPages;
  hint %= kChunkPages;
  const auto found = c.data.used().Find(count, hint);
  const auto expected = c.used.Find(count, hint);
  TRICOLOR_CHECK(found == expected,
                 "%u free pages from %u on: found %u (first free: %u), the "
                 "model %u (%u)",
                 count, hint, found.index, found.first_free, expected.index,
                 expected.first_free);
}

void PallocBitsTester::Extend(uint32_t first, uint32_t count) {
  program_.Note("Extend", first, count);
  const ChunkRange r = Clip(first, count);
  const ChunkRange found = bits_.ExtendOverZeros(r.first, r.count);
  const ChunkRange expected = plain_.ExtendOverZeros(r.first, r.count);
  TRICOLOR_CHECK(found == expected,
                 "[%u, +%u) extends to [%u, +%u), by the model [%u, +%u)",
                 r.first, r.count, found.first, found.count, expected.first,
                 expected.count);
}

void PallocBitsTester::Popcount(uint32_t first, uint32_t count) {
  program_.Note("Popcount", first, count);
  const ChunkRange r = Clip(first, count);
  const uint32_t found = bits_.PopcountRange(r.first, r.count);
  const uint32_t expected = plain_.Ones(r.first, r.count);
  TRICOLOR_CHECK(found == expected, "[%u, +%u) has %u ones, not %u", r.first,
                 r.count, found, expected);
}

void PallocBitsTester::Merge(uint32_t log_pages, uint32_t kinds,
                             uint64_t sizes) {
  program_.Note("Merge", log_pages, kinds, sizes);
  log_pages = kLogChunkPages +
              log_pages % 4 * static_cast<uint32_t>(PallocSum::kFanoutBits);
  const uint32_t pages = uint32_t{1} << log_pages;
  std::array<PallocSum, kChunks> children;
  for (uint32_t i = 0; i < kChunks; ++i) {
    const auto size = static_cast<uint32_t>(sizes >> (8 * i) & 0xff);
    switch (kinds >> (2 * i) & 3) {
      case 0:
        children[i] = PallocSum::AllFree(pages);
        break;
      case 1:
        break;
      case 2:
        children[i] = PallocSum::Pack(size % 16, size, size / 16);
        break;
      default:  // all free but one page
        children[i] = PallocSum::Pack(size, std::max(size, pages - 1 - size),
                                      pages - 1 - size);
        break;
    }
  }
  CheckSum(PallocSum::Merge(children.data(), log_pages),
           Joined(children.data(), kChunks, pages), "the merged summary");
}

void PallocBitsTester::WordRuns(uint64_t word, uint32_t count) {
  program_.Note("WordRuns", word, count);
  count = 1 + count % 64;
  int first = 64;
  uint32_t longest = 0;
  uint32_t ones = 0;  // from i on
  for (int i = 63; i >= 0; --i) {
    ones = (word >> i & 1) != 0 ? ones + 1 : 0;
    longest = std::max(longest, ones);
    if (ones >= count) first = i;
  }
  TRICOLOR_CHECK(FindBitRange64(word, count) == first,
                 "%u ones found at bit %d, not %d", count,
                 FindBitRange64(word, count), first);
  TRICOLOR_CHECK(LongestRunOfOnes(word) == static_cast<int>(longest),
                 "the longest run is %d, not %u", LongestRunOfOnes(word),
                 longest);
}

void PallocBitsTester::Divide(uint32_t n, uint32_t divisor) {
  program_.Note("Divide", n, divisor);
  divisor = std::max(divisor, 2u);
  const uint32_t magic = DivMagic(divisor);
  TRICOLOR_CHECK(
      !DivMagicIsExact(divisor, n) || DivideByMagic(n, magic) == n / divisor,
      "%u / %u is %u by multiplication", n, divisor, DivideByMagic(n, magic));
  TRICOLOR_CHECK(
      DivideRoundUp(n, divisor) == (uint64_t{n} + divisor - 1) / divisor,
      "%u / %u rounded up is wrong", n, divisor);
}

void PallocBitsTester::Logarithms(uint64_t n, uint32_t shift) {
  program_.Note("Logarithms", n, shift);
  n = std::max(n >> (shift % 64), uint64_t{1});
  int floor = 0;
  while (n >> floor > 1) ++floor;
  const bool power = n == uint64_t{1} << floor;
  TRICOLOR_CHECK(IsPowerOfTwo(n) == power && Log2Floor(n) == floor &&
                     Log2Ceil(n) == floor + (power ? 0 : 1),
                 "logarithms of %llu are wrong",
                 static_cast<unsigned long long>(n));
  const uint64_t alignment = uint64_t{1} << floor;
  TRICOLOR_CHECK(AlignDown(n, alignment) == alignment &&
                     AlignUp(n, alignment) == (power ? n : 2 * alignment) &&
                     IsAligned(n, alignment) == power,
                 "%llu is aligned wrongly", static_cast<unsigned long long>(n));
}

void PallocBitsTester::Changed(uint32_t chunk, ChunkRange range, bool used) {
  const PallocSum old = sums_[chunk];
  const PallocBits& bits = chunks_[chunk].data.used();
  if (used) {
    sums_[chunk] = bits.SummarizeAfterSet(old, range.first, range.count);
    parent_ = PallocSum::MergeAfterShrink(parent_, sums_.data(), kLogChunkPages,
                                          chunk, old);
  } else {
    sums_[chunk] = bits.SummarizeAfterClear(old, range.first, range.count);
    parent_ =
        PallocSum::MergeAfterGrow(parent_, sums_.data(), kLogChunkPages, chunk);
  }
  Check(chunk);
}

void PallocBitsTester::Recompute(uint32_t chunk) {
  sums_[chunk] = chunks_[chunk].data.used().Summarize();
  parent_ = PallocSum::Merge(sums_.data(), kLogChunkPages);
  Check(chunk);
}

void PallocBitsTester::Check(uint32_t chunk) {
  const Chunk& c = chunks_[chunk];
  CheckEqual(c.data.used(), c.used, "used");
  CheckEqual(c.data.scavenged(), c.scavenged, "scavenged");
  CheckSum(sums_[chunk], c.used.Summarize(), "the chunk's summary");
  CheckSum(parent_, Joined(sums_.data(), kChunks, kChunkPages),
           "the parent's summary");
}

void PallocBitsTester::CheckEqual(const PallocBits& bits,
                                  const PlainBits& plain, const char* name) {
  for (uint32_t i = 0; i < kChunkPages; ++i) {
    TRICOLOR_CHECK(bits.Get(i) == plain.Get(i), "page %u is %s%s", i,
                   bits.Get(i) ? "" : "not ", name);
  }
}

}  // namespace tricolor::pagealloc
