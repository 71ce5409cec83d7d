// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A list of operations on the bitmaps and summaries of eight chunks and their
// model, which are compared after each. An operation is one byte, its kind, and
// its arguments; the list ends with the input.

#include <cstddef>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/pagealloc/palloc_bits_tester.h"

namespace tricolor::pagealloc {
namespace {

void StepChunk(PallocBitsTester& t, ByteSource& in, uint32_t kind) {
  const uint32_t chunk = in.Byte();
  const uint32_t first = in.Below(kChunkPages);
  switch (kind) {
    case 0:
    case 1:
      return t.Allocate(chunk, first, in.Below(kChunkPages));
    case 2:
    case 3:
      return t.Free(chunk, first, in.Below(kChunkPages));
    case 4:
      return t.Scavenge(chunk, first, in.Below(kChunkPages));
    case 5:
      return t.AllocateBlock(chunk, first, in.Word());
    case 6:
      return t.FreeBlock(chunk, first, in.Word(), chunk % 2 != 0);
    case 7:
      return t.Find(chunk, first, in.Below(kChunkPages));
    default:
      return t.Reset(chunk);
  }
}

void Step(PallocBitsTester& t, ByteSource& in) {
  const uint32_t kind = in.Below(17);
  if (kind < 9) return StepChunk(t, in, kind);
  const uint32_t a = in.Below(65536);
  switch (kind) {
    case 9:
      return t.SetBits(a, in.Below(kChunkPages));
    case 10:
      return t.ClearBits(a, in.Below(kChunkPages));
    case 11:
      return t.Extend(a, in.Below(kChunkPages));
    case 12:
      return t.Popcount(a, in.Below(kChunkPages));
    case 13: {
      const uint32_t log_pages = in.Byte();
      return t.Merge(log_pages, a, in.Word());
    }
    case 14:
      return t.WordRuns(in.Word(), a);
    case 15: {
      const uint64_t both = in.Word();
      return t.Divide(static_cast<uint32_t>(both),
                      static_cast<uint32_t>(both >> 32) >> a % 32);
    }
    default:
      return t.Logarithms(in.Word(), a);
  }
}

}  // namespace
}  // namespace tricolor::pagealloc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tricolor::pagealloc::PallocBitsTester t;
  tricolor::ByteSource in(data, size);
  while (!in.empty()) tricolor::pagealloc::Step(t, in);
  return 0;
}
