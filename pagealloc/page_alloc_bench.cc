// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What PageAlloc costs, by size of the heap and by fragmentation. All of a
// window is grown; nothing is reserved, for no page is touched.

#include <cstdint>
#include <random>
#include <vector>

#include "benchmark/benchmark.h"
#include "tricolor/base/check.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc.h"
#include "tricolor/pagealloc/page_cache.h"
#include "tricolor/pagealloc/palloc_bits.h"

namespace tricolor::pagealloc {
namespace {

constexpr uint64_t kChunksPerGiB = (uint64_t{1} << 30) / kChunkBytes.value();

constexpr size_t kVictims = 1 << 15;

// An allocator with `gib` GiB, all of it free.
class Heap {
 public:
  explicit Heap(int64_t gib)
      : pages_(ProcessMemory(), Window(static_cast<uint64_t>(gib))) {
    TRICOLOR_CHECK(pages_.Init(), "no memory for tables");
    TRICOLOR_CHECK(pages_.Grow(pages_.window().base, pages_.window().size()),
                   "no memory for tables");
  }

  // Every other `hole` pages are used, but those of the last chunk.
  void Checker(int64_t hole) {
    const auto pages = static_cast<uint32_t>(hole);
    std::vector<ChunkRange> used;
    for (uint32_t i = 0; i < kChunkPages; i += 2 * pages) {
      used.push_back({i, pages});
    }
    const AddrRange window = pages_.window();
    for (Addr a = window.base; a + kChunkBytes < window.limit;
         a += kChunkBytes) {
      pages_.SetChunkForTest(a, used, {});
    }
  }

  // Each page is used with a chance of `percent`, but those of the last chunk
  // are free: there is room for any run.
  void Occupy(int64_t percent) {
    std::mt19937_64 random(1);
    std::vector<ChunkRange> used;
    const AddrRange window = pages_.window();
    for (Addr a = window.base; a + kChunkBytes < window.limit;
         a += kChunkBytes) {
      used.clear();
      for (uint32_t i = 0; i < kChunkPages; ++i) {
        if (random() % 100 < static_cast<uint64_t>(percent)) {
          used.push_back({i, 1});
        }
      }
      pages_.SetChunkForTest(a, used, {});
    }
  }

  PageAlloc& pages() { return pages_; }

 private:
  static AddrRange Window(uint64_t gib) {
    const Addr base(uint64_t{1} << 50);
    return {base, base + kChunkBytes * (gib * kChunksPerGiB)};
  }

  PageAlloc pages_;
};

// Allocates and frees one run again and again: the search address stays.
void BM_AllocFree(benchmark::State& state) {
  Heap heap(state.range(0));
  heap.Occupy(state.range(1));
  const PageCount pages(static_cast<uint64_t>(state.range(2)));
  for (auto _ : state) {
    const PageRun run = heap.pages().Alloc(pages);
    TRICOLOR_CHECK(bool{run}, "full");
    heap.pages().Free(run.base, pages);
  }
}
BENCHMARK(BM_AllocFree)
    ->ArgNames({"GiB", "used%", "pages"})
    ->ArgsProduct({{1, 4, 16}, {0, 50}, {1}})
    ->ArgsProduct({{64}, {0, 10, 25, 50, 75, 90, 99}, {1, 4, 16, 64}})
    ->ArgsProduct({{64}, {0}, {512, 4096, 1 << 18}});

// Allocates pages until the heap is full; then frees them all, in random order.
void BM_Fill(benchmark::State& state) {
  Heap heap(state.range(0));
  heap.Occupy(state.range(1));
  std::mt19937_64 random(2);
  std::vector<Addr> taken;
  taken.reserve(1 << 19);
  for (auto _ : state) {
    if (taken.size() == 1 << 19) {
      state.PauseTiming();
      for (const Addr a : taken) heap.pages().Free(a, PageCount(1));
      taken.clear();
      state.ResumeTiming();
    }
    const PageRun run = heap.pages().Alloc(PageCount(1));
    TRICOLOR_CHECK(bool{run}, "full");
    taken.push_back(run.base);
  }
}
BENCHMARK(BM_Fill)
    ->ArgNames({"GiB", "used%"})
    ->ArgsProduct({{64}, {0, 50, 90}});

// Frees a random page of a half-used heap and allocates the lowest one: each
// call goes to another chunk.
void BM_FreeRandom(benchmark::State& state) {
  Heap heap(state.range(0));
  heap.Occupy(50);
  PageAlloc& pages = heap.pages();
  const uint64_t total = pages.total_pages().value();
  std::mt19937_64 random(3);
  std::vector<bool> chosen(total);
  std::vector<Addr> victims;
  while (victims.size() < kVictims) {
    const uint64_t page = random() % total;
    const Addr a = pages.window().base + BytesOf(PageCount(page));
    const PallocData& chunk =
        pages.ChunkForTest(a.AlignDown(kChunkBytes.value()));
    const bool used =
        chunk.used().Get(static_cast<uint32_t>(page % kChunkPages));
    if (!used || chosen[page]) continue;
    chosen[page] = true;
    victims.push_back(a);
  }
  size_t i = 0;
  for (auto _ : state) {
    pages.Free(victims[i++], PageCount(1));
    benchmark::DoNotOptimize(pages.Alloc(PageCount(1)));
  }
}
BENCHMARK(BM_FreeRandom)
    ->ArgName("GiB")
    ->Arg(1)
    ->Arg(4)
    ->Arg(16)
    ->Arg(64)
    ->Iterations(kVictims);

// Lower memory is full of holes of one size; only the last chunk is free.
void BM_Checkerboard(benchmark::State& state) {
  Heap heap(state.range(0));
  heap.Checker(state.range(1));
  const PageCount pages(static_cast<uint64_t>(state.range(2)));
  for (auto _ : state) {
    const PageRun run = heap.pages().Alloc(pages);
    TRICOLOR_CHECK(bool{run}, "full");
    heap.pages().Free(run.base, pages);
  }
}
BENCHMARK(BM_Checkerboard)
    ->ArgNames({"GiB", "hole", "pages"})
    ->ArgsProduct({{1, 4, 16}, {1}, {4}})
    ->ArgsProduct({{64}, {1, 2, 4}, {1, 4, 16, 64}});

// Finds a candidate and gives it back. A forced search finds it in the topmost
// chunk. So does one in the background where chunks are sparse; where they are
// dense it passes over all of them, down to the lowest.
void BM_ScavengeCandidate(benchmark::State& state) {
  Heap heap(state.range(0));
  heap.Occupy(state.range(2));
  PageAlloc& pages = heap.pages();
  const bool dense = state.range(2) == 99;
  const ChunkRange top[] = {{0, dense ? 500u : 100u}};
  pages.SetChunkForTest(pages.window().limit - kChunkBytes, top, {});
  pages.SetChunkForTest(pages.window().base, {}, {});
  const ByteCount max = BytesOf(PageCount(8));
  const auto search = [&pages, max](ScavengeMode mode) {
    const AddrRange candidate = pages.TakeScavengeCandidate(max, mode);
    TRICOLOR_CHECK(!candidate.empty(), "nothing to scavenge");
    pages.ReturnScavengeCandidate(candidate, /*released=*/false);
  };
  for (auto _ : state) {
    search(ScavengeMode::kForce);  // also raises both limits to the top
    if (state.range(1) == 0) search(ScavengeMode::kBackground);
  }
}
BENCHMARK(BM_ScavengeCandidate)
    ->ArgNames({"GiB", "force", "used%"})
    ->ArgsProduct({{1, 4, 16, 64}, {0, 1}, {50, 99}});

void BM_AllocAligned(benchmark::State& state) {
  Heap heap(4);
  heap.Occupy(50);
  const PageCount alignment(static_cast<uint64_t>(state.range(0)));
  for (auto _ : state) {
    const PageRun run = heap.pages().AllocAligned(PageCount(4), alignment);
    heap.pages().Free(run.base, PageCount(4));
  }
}
BENCHMARK(BM_AllocAligned)->ArgName("alignment")->Arg(1)->Arg(4)->Arg(64);

// Refills a cache and flushes it unused.
void BM_CacheRefillFlush(benchmark::State& state) {
  Heap heap(4);
  heap.Occupy(state.range(0));
  for (auto _ : state) {
    PageCache cache = heap.pages().AllocToCache();
    cache.Flush(heap.pages());
  }
}
BENCHMARK(BM_CacheRefillFlush)->ArgName("used%")->Arg(0)->Arg(50);

// One page from a cache, its refills included.
void BM_CacheAlloc(benchmark::State& state) {
  Heap heap(4);
  PageCache cache;
  std::vector<Addr> taken;
  taken.reserve(1 << 19);
  for (auto _ : state) {
    if (taken.size() == 1 << 19) {
      state.PauseTiming();
      for (const Addr a : taken) heap.pages().Free(a, PageCount(1));
      taken.clear();
      state.ResumeTiming();
    }
    if (cache.Empty()) cache = heap.pages().AllocToCache();
    taken.push_back(cache.Alloc(PageCount(1)).base);
  }
  cache.Flush(heap.pages());
}
BENCHMARK(BM_CacheAlloc);

void BM_Summarize(benchmark::State& state) {
  std::mt19937_64 random(4);
  PallocBits bits;
  for (uint32_t i = 0; i < kChunkPages; ++i) {
    if (random() % 100 < static_cast<uint64_t>(state.range(0))) {
      bits.SetRange(i, 1);
    }
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(bits);
    benchmark::DoNotOptimize(bits.Summarize());
  }
}
BENCHMARK(BM_Summarize)->ArgName("used%")->Arg(0)->Arg(5)->Arg(50)->Arg(95);

void BM_Merge(benchmark::State& state) {
  PallocSum children[PallocSum::kFanout];
  for (PallocSum& c : children) c = PallocSum::AllFree(kChunkPages);
  children[0] = PallocSum::Pack(0, 511, 511);
  for (auto _ : state) {
    benchmark::DoNotOptimize(children);
    benchmark::DoNotOptimize(PallocSum::Merge(children, kLogChunkPages));
  }
}
BENCHMARK(BM_Merge);

}  // namespace
}  // namespace tricolor::pagealloc
