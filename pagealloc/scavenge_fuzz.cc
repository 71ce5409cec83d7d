// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Page caches and scavenging on a few chunks, which page_alloc_fuzz, with a
// window of all levels of the tree, seldom fills: chunks become dense and
// sparse again, generations pass, and pages are given back and taken again
// beside caches that hold some. The model is that of page_alloc_tester.h; all
// invariants are checked after each operation.
//
// The first byte chooses the sizes of OS pages and huge pages. An operation is
// one byte, its kind and a cache or chunk, and one byte for each number.

#include <cstddef>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc_tester.h"
#include "tricolor/pagealloc/scavenge_index.h"

namespace tricolor::pagealloc {
namespace {

constexpr uint64_t kChunks = 6;

// From one page to more than a chunk; often what makes a chunk just dense.
uint64_t Pages(ByteSource& in) {
  const uint64_t byte = in.Byte();
  if (byte < 128) return 1 + byte % 64;
  if (byte < 192) return ChunkOccupancy::kDensePages - 4 + byte % 8;
  return 1 + byte % 64 * 9;
}

void StepScavenging(PageAllocTester& t, ByteSource& in, uint32_t kind) {
  switch (kind) {
    case 8:
      return t.Scavenge(Pages(in));
    case 9:
    case 10:
      return t.ScavengeInBackground(Pages(in));
    case 11:
      return t.TakeCandidate(Pages(in));
    case 12:
      return t.TakeCandidateInBackground(Pages(in));
    case 13: {
      const uint32_t a = in.Byte();
      if (a < 0xe0) return t.ReturnCandidate(a % 4 != 0);
      return t.SetChunk(a % kChunks, Pages(in), a);
    }
    case 14:
      return t.NextGeneration();
    default:
      return t.ScavengeFailing(Pages(in));
  }
}

void Step(PageAllocTester& t, ByteSource& in) {
  const uint32_t byte = in.Byte();
  const uint32_t which = byte / 16;
  const int cache = static_cast<int>(which) % PageAllocTester::kCaches;
  switch (byte % 16) {
    case 0:
      return t.Grow(which % kChunks, 1);
    case 1:
    case 2:
      return t.Alloc(Pages(in));
    case 3:
    case 4: {
      const uint64_t page = which % kChunks * kChunkPages + 2 * in.Byte();
      return t.Free(page, 0, Pages(in));
    }
    case 5:
      return t.RefillCache(cache);
    case 6:
      return t.CacheAlloc(cache, 1 + in.Byte() % 64);
    case 7:
      return t.FlushCache(cache);
    default:
      return StepScavenging(t, in, byte % 16);
  }
}

}  // namespace
}  // namespace tricolor::pagealloc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tricolor::ByteCount;
  using tricolor::pagealloc::kChunks;
  tricolor::ByteSource in(data, size);
  const uint64_t sizes = in.Byte();
  tricolor::pagealloc::PageAllocTester t(
      kChunks, ByteCount(uint64_t{4096} << sizes % 5),
      ByteCount(sizes / 5 % 2 == 0 ? 2 << 20 : 0));
  t.Record();
  t.Grow(0, kChunks / 2);
  while (!in.empty()) {
    tricolor::pagealloc::Step(t, in);
    t.Check();
  }
  return 0;
}
