// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A list of operations on a PageAlloc and its model; all invariants are
// checked after each. A failure prints the operations as C++ for a test.
//
// The first byte chooses the sizes of OS pages and huge pages. An operation is
// one byte, its kind, and its arguments of one or two bytes each; the list ends
// with the input. An argument is scaled to what makes sense, so that most
// operations do something. testdata/make_page_alloc_seeds.py writes the seeds.

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc_tester.h"

namespace tricolor::pagealloc {
namespace {

constexpr uint64_t kRootChunks = PallocSum::kMaxPages / kChunkPages;
constexpr uint64_t kWindowChunks = 3 * kRootChunks;

// The chunks around which memory is added: bounds of entries of each level.
constexpr uint64_t kPlaces[] = {0,
                                7,
                                63,
                                511,
                                4090,
                                kRootChunks - 2,
                                2 * kRootChunks - 1,
                                3 * kRootChunks - 9};

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), end_(data + size) {}
  bool empty() const { return data_ == end_; }
  uint64_t Byte() { return empty() ? 0 : *data_++; }
  uint64_t Word() {
    const uint64_t low = Byte();
    return low | Byte() << 8;
  }
  // A place in the upper bits, a distance from it in the lower three.
  uint64_t Chunk() {
    const uint64_t byte = Byte();
    return kPlaces[byte / 8 % std::size(kPlaces)] + byte % 8;
  }
  uint64_t Page() { return Chunk() * kChunkPages + Word() % kChunkPages; }
  // 1 to 64 pages, or 1 to 4096.
  uint64_t Few() { return 1 + Byte() % 64; }
  uint64_t Many() { return 1 + Word() % 4096; }
  int Cache() { return static_cast<int>(Byte() % PageAllocTester::kCaches); }

 private:
  const uint8_t* data_;
  const uint8_t* const end_;
};

// The arguments are read in the order in which they are written here.

void StepPages(PageAllocTester& t, Input& in, uint64_t kind) {
  uint64_t a = 0;
  uint64_t b = 0;
  switch (kind) {
    case 0:
      a = in.Chunk();
      return t.Grow(a, 1 + in.Byte() % 8);
    case 1:
      a = in.Chunk();
      b = 1 + in.Byte() % 8;
      return t.GrowFailing(a, b, 1 + in.Byte() % 12);
    case 2:
    case 3:
      return t.Alloc(in.Few());
    case 4:
      return t.Alloc(in.Many());
    case 5:
      a = in.Few();
      return t.AllocAligned(a, uint64_t{1} << in.Byte() % 14);
    case 6:
    case 7:
      a = in.Page();
      b = in.Byte() % 4;
      return t.Free(a, b, in.Few());
    default:
      a = in.Page();
      b = in.Word() % 1024;
      return t.Free(a, b, in.Many());
  }
}

void StepCachesAndScavenging(PageAllocTester& t, Input& in, uint64_t kind) {
  int cache = 0;
  uint64_t a = 0;
  uint64_t b = 0;
  switch (kind) {
    case 9:
      return t.RefillCache(in.Cache());
    case 10:
    case 11:
      cache = in.Cache();
      return t.CacheAlloc(cache, 1 + in.Byte() % 64);
    case 12:
      return t.FlushCache(in.Cache());
    case 13:
      return t.Scavenge(in.Many());
    case 14:
      return t.TakeCandidate(in.Many());
    case 16:
      return t.NextGeneration();
    case 17:
      return t.ScavengeInBackground(in.Many());
    case 18:
      return t.TakeCandidateInBackground(in.Many());
    default:
      a = in.Byte();
      if (a == 0xff) return t.ScavengeFailing(8);
      if (a >= 0xe0) {
        b = in.Chunk();
        return t.SetChunk(b, 1 + in.Word() % kChunkPages, a);
      }
      return t.ReturnCandidate(a % 2 == 0);
  }
}

void Step(PageAllocTester& t, Input& in) {
  const uint64_t kind = in.Byte() % 19;
  if (kind < 9) {
    StepPages(t, in, kind);
  } else {
    StepCachesAndScavenging(t, in, kind);
  }
}

}  // namespace
}  // namespace tricolor::pagealloc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tricolor::ByteCount;
  using tricolor::pagealloc::Input;
  using tricolor::pagealloc::PageAllocTester;
  using tricolor::pagealloc::Step;
  Input in(data, size);
  const uint64_t sizes = in.Byte();
  PageAllocTester t(tricolor::pagealloc::kWindowChunks,
                    ByteCount(uint64_t{4096} << sizes % 5),
                    ByteCount(sizes / 5 % 2 == 0 ? 2 << 20 : 0));
  t.Record();
  while (!in.empty()) {
    Step(t, in);
    t.Check();
  }
  return 0;
}
