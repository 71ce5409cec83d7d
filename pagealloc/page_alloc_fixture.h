// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A PageAlloc on a WindowOs with chunks in given states, for tests. Its
// destructor checks the invariants.

#ifndef TRICOLOR_PAGEALLOC_PAGE_ALLOC_FIXTURE_H_
#define TRICOLOR_PAGEALLOC_PAGE_ALLOC_FIXTURE_H_

#include <cstdint>
#include <ostream>
#include <vector>

#include "tricolor/base/check.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/pagealloc/page_run.h"
#include "tricolor/pagealloc/palloc_bits.h"
#include "tricolor/pagealloc/window_os.h"

namespace tricolor::pagealloc {

// A chunk, counted from the window's base, and what is used and scavenged in
// it. The rest is free and not scavenged.
struct ChunkState {
  uint64_t chunk;
  std::vector<ChunkRange> used = {};
  std::vector<ChunkRange> scavenged = {};
};

inline const ChunkRange kWholeChunk{0, kChunkPages};
// Chunks that a root entry of the tree stands for.
inline constexpr uint64_t kRootChunks = PallocSum::kMaxPages / kChunkPages;

class TestPages {
 public:
  explicit TestPages(const std::vector<ChunkState>& chunks = {},
                     ByteCount os_page = ByteCount(4 << 10),
                     ByteCount huge_page = ByteCount(2 << 20))
      : os_(4 * kRootChunks, os_page, huge_page), pages_(os_, os_.window()) {
    TRICOLOR_CHECK(pages_.Init(), "no memory for tables");
    for (const ChunkState& c : chunks) {
      TRICOLOR_CHECK(Grow(c.chunk, 1), "no memory for tables");
      pages_.SetChunkForTest(At(c.chunk), c.used, c.scavenged);
    }
  }
  ~TestPages() { pages_.CheckInvariants(); }
  TestPages(const TestPages&) = delete;
  TestPages& operator=(const TestPages&) = delete;

  // The address of a page of a chunk.
  Addr At(uint64_t chunk, uint64_t page = 0) const {
    return os_.window().base + BytesOf(PageCount(chunk * kChunkPages + page));
  }
  [[nodiscard]] bool Grow(uint64_t chunk, uint64_t count) {
    return pages_.Grow(At(chunk), kChunkBytes * count);
  }
  PageRun Alloc(uint64_t pages) { return pages_.Alloc(PageCount(pages)); }
  void Free(Addr base, uint64_t pages) { pages_.Free(base, PageCount(pages)); }

  // The run that starts at a page of a chunk, with scavenged pages.
  PageRun Run(uint64_t chunk, uint64_t page, uint64_t scavenged = 0) const {
    return {At(chunk, page), BytesOf(PageCount(scavenged))};
  }
  // The pages in use of a chunk, and the scavenged ones, as ranges.
  std::vector<ChunkRange> Used(uint64_t chunk) const {
    return Ranges(pages_.ChunkForTest(At(chunk)).used());
  }
  std::vector<ChunkRange> Scavenged(uint64_t chunk) const {
    return Ranges(pages_.ChunkForTest(At(chunk)).scavenged());
  }

  PageAlloc& pages() { return pages_; }
  WindowOs& os() { return os_; }

 private:
  static std::vector<ChunkRange> Ranges(const PallocBits& bits) {
    std::vector<ChunkRange> ranges;
    for (uint32_t i = 0; i < kChunkPages; ++i) {
      if (!bits.Get(i)) continue;
      if (!ranges.empty() && ranges.back().first + ranges.back().count == i) {
        ++ranges.back().count;
      } else {
        ranges.push_back({i, 1});
      }
    }
    return ranges;
  }

  WindowOs os_;
  PageAlloc pages_;
};

// For messages of tests.
inline void PrintTo(ChunkRange range, std::ostream* out) {
  *out << "[" << range.first << ", +" << range.count << ")";
}
inline void PrintTo(const PageRun& run, std::ostream* out) {
  *out << "0x" << std::hex << run.base.value() << std::dec << ", "
       << run.scavenged_bytes.value() << " bytes scavenged";
}

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PAGE_ALLOC_FIXTURE_H_
