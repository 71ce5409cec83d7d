// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/huge_chunks.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"
#include "tricolor/pagealloc/palloc_bits.h"

namespace tricolor::mheap {
namespace {

// A chunk of which a part lies beyond `from` counts as beyond it.
uint64_t FirstChunk(PersistentAlloc& memory, ByteCount from) {
  return memory.os().huge_page_size() == ByteCount(0)
             ? UINT64_MAX
             : from / pagealloc::kChunkBytes;
}

}  // namespace

HugeChunks::HugeChunks(PersistentAlloc& memory, ByteCount from, bool split)
    : memory_(memory), first_(FirstChunk(memory, from)), split_(split) {}

bool HugeChunks::IsSplit(uint64_t chunk) const {
  return chunk / 64 < split_limit_ &&
         (bits_[chunk / 64] >> chunk % 64 & 1) != 0;
}

HugePageAdvice HugeChunks::BeforeRelease(uint64_t chunk, bool empty) {
  if (!Wants(chunk)) return HugePageAdvice::kNone;
  if (IsSplit(chunk)) {
    return empty ? HugePageAdvice::kHuge : HugePageAdvice::kNone;
  }
  if (empty || !CanSplit(chunk)) return HugePageAdvice::kNone;
  split_runs_ += static_cast<uint64_t>(RunsAt(chunk));
  split_limit_ = std::max(split_limit_, chunk / 64 + 1);
  bits_[chunk / 64] |= uint64_t{1} << chunk % 64;
  return HugePageAdvice::kSmall;
}

bool HugeChunks::CanSplit(uint64_t chunk) {
  if (!split_) return false;
  if (split_runs_ >= kMostSplitRuns && RunsAt(chunk) > 0) return false;
  if (bits_ == nullptr) {
    const ByteCount size(DivideRoundUp(chunks_, 64) * sizeof(uint64_t));
    bits_ = static_cast<uint64_t*>(memory_.Allocate(size, alignof(uint64_t)));
  }
  return bits_ != nullptr;
}

bool HugeChunks::MayJoin(uint64_t chunk) const {
  return IsSplit(chunk) && (split_runs_ < kMostSplitRuns || RunsAt(chunk) >= 0);
}

void HugeChunks::Join(uint64_t chunk) {
  TRICOLOR_CHECK(IsSplit(chunk), "chunk %llu is joined, but was not split",
                 static_cast<unsigned long long>(chunk));
  bits_[chunk / 64] &= ~(uint64_t{1} << chunk % 64);
  split_runs_ -= static_cast<uint64_t>(RunsAt(chunk));
}

int64_t HugeChunks::RunsAt(uint64_t chunk) const {
  return 1 - (chunk > 0 && IsSplit(chunk - 1)) - IsSplit(chunk + 1);
}

uint64_t HugeChunks::NextSplit(uint64_t chunk) const {
  for (uint64_t word = chunk / 64; word < split_limit_; ++word) {
    uint64_t bits = bits_[word];
    if (word == chunk / 64) bits &= ~uint64_t{0} << chunk % 64;
    if (bits != 0) {
      return word * 64 + static_cast<uint64_t>(std::countr_zero(bits));
    }
  }
  return kNone;
}

void HugeChunks::CheckInvariants() const {
  uint64_t runs = 0;
  uint64_t end = kNone;  // of the run before
  for (uint64_t c = NextSplit(0); c != kNone; c = NextSplit(c + 1)) {
    TRICOLOR_CHECK(Wants(c), "chunk %llu is split, but never had huge pages",
                   static_cast<unsigned long long>(c));
    if (c != end) ++runs;
    end = c + 1;
  }
  TRICOLOR_CHECK(runs == split_runs_,
                 "%llu runs of split chunks, but %llu are counted",
                 static_cast<unsigned long long>(runs),
                 static_cast<unsigned long long>(split_runs_));
}

}  // namespace tricolor::mheap
