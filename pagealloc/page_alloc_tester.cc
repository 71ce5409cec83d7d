// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/pagealloc/page_alloc_tester.h"

#include <algorithm>
#include <cinttypes>
#include <string>
#include <vector>

#include "tricolor/base/check.h"

namespace tricolor::pagealloc {
namespace {

uint64_t HeapPages(ByteCount os_unit) { return PagesIn(os_unit).value(); }

}  // namespace

PageAllocTester::PageAllocTester(uint64_t window_chunks, ByteCount os_page,
                                 ByteCount huge_page)
    : os_(window_chunks, os_page, huge_page),
      pages_(os_, os_.window()),
      model_(PageContaining(os_.window().base).value(),
             std::max<uint64_t>(HeapPages(os_page), 1), HeapPages(huge_page)) {
  TRICOLOR_CHECK(pages_.Init(), "PageAllocTester: no memory for tables");
}

PageAllocTester::~PageAllocTester() {
  ReturnCandidate(false);
  for (int i = 0; i < kCaches; ++i) FlushCache(i);
  CheckThoroughly();
}

void PageAllocTester::Record() {
  const auto bytes = [](ByteCount n) {
    return ", ByteCount(" + std::to_string(n.value()) + ")";
  };
  program_.emplace("PageAllocTester t(" +
                   std::to_string(os_.window().size() / kChunkBytes) +
                   bytes(os_.page_size()) + bytes(os_.huge_page_size()) + ");");
}

template <typename... Args>
void PageAllocTester::Note(const char* name, Args... args) {
  if (program_.has_value()) program_->Note(name, args...);
}

uint64_t PageAllocTester::Growable(uint64_t chunk, uint64_t count) const {
  const uint64_t limit = os_.window().size() / kChunkBytes;
  uint64_t n = 0;
  while (n < count && chunk + n < limit && !model_.IsGrown(chunk + n)) ++n;
  return n;
}

void PageAllocTester::Grow(uint64_t chunk, uint64_t count) {
  Note("Grow", chunk, count);
  const uint64_t n = Growable(chunk, count);
  if (n == 0) return;
  TRICOLOR_CHECK(pages_.Grow(At(chunk * kChunkPages), kChunkBytes * n),
                 "Grow(%" PRIu64 ", %" PRIu64 ") refused", chunk, n);
  model_.Grow(chunk, n);
}

void PageAllocTester::GrowFailing(uint64_t chunk, uint64_t count, uint64_t k) {
  Note("GrowFailing", chunk, count, k);
  const uint64_t n = Growable(chunk, count);
  if (n == 0) return;
  const uint64_t failures = os_.tables().failures();
  os_.tables().FailAfter(std::max<uint64_t>(k, 1));
  const bool grown = pages_.Grow(At(chunk * kChunkPages), kChunkBytes * n);
  os_.tables().StopFailing();
  TRICOLOR_CHECK(grown == (os_.tables().failures() == failures),
                 "Grow(%" PRIu64 ", %" PRIu64 ") is %d with %" PRIu64
                 " failures of the OS",
                 chunk, n, grown, os_.tables().failures() - failures);
  if (grown) model_.Grow(chunk, n);
}

void PageAllocTester::CompareRun(PageRun run,
                                 PageAllocModel::Run expected) const {
  const Addr base =
      expected.page == PageAllocModel::kNone ? Addr() : At(expected.page);
  TRICOLOR_CHECK(run.base == base && run.scavenged_bytes ==
                                         BytesOf(PageCount(expected.scavenged)),
                 "a run at 0x%" PRIx64 ", %" PRIu64
                 " bytes scavenged, the model has 0x%" PRIx64 ", %" PRIu64,
                 run.base.value(), run.scavenged_bytes.value(), base.value(),
                 BytesOf(PageCount(expected.scavenged)).value());
}

void PageAllocTester::Alloc(uint64_t pages) {
  Note("Alloc", pages);
  if (pages == 0) return;
  CompareRun(pages_.Alloc(PageCount(pages)), model_.Alloc(pages, 1));
}

void PageAllocTester::AllocAligned(uint64_t pages, uint64_t alignment) {
  Note("AllocAligned", pages, alignment);
  if (pages == 0 || !std::has_single_bit(alignment)) return;
  CompareRun(pages_.AllocAligned(PageCount(pages), PageCount(alignment)),
             model_.Alloc(pages, alignment));
}

void PageAllocTester::Free(uint64_t page, uint64_t skip, uint64_t count) {
  Note("Free", page, skip, count);
  const PageAllocModel::Pages run = model_.UsedFrom(page);
  if (skip >= run.count || count == 0) return;
  const uint64_t n = std::min(count, run.count - skip);
  pages_.Free(At(run.page + skip), PageCount(n));
  model_.Free(run.page + skip, n);
}

void PageAllocTester::CompareCache(int i) const {
  const auto index = static_cast<size_t>(i);
  const PageCache& cache = caches_[index];
  const PageAllocModel::Cache& expected = model_caches_[index];
  const Addr base =
      expected.page == PageAllocModel::kNone ? Addr() : At(expected.page);
  TRICOLOR_CHECK(
      cache.base() == base && cache.free_bits() == expected.free &&
          cache.scavenged_bits() == expected.scavenged,
      "cache %d: 0x%" PRIx64 ", free 0x%" PRIx64 ", scavenged 0x%" PRIx64
      ", the model has 0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64,
      i, cache.base().value(), cache.free_bits(), cache.scavenged_bits(),
      base.value(), expected.free, expected.scavenged);
  cache.CheckInvariants();
}

void PageAllocTester::RefillCache(int i) {
  FlushCache(i);
  Note("RefillCache", i);
  const auto index = static_cast<size_t>(i);
  caches_[index] = pages_.AllocToCache();
  model_caches_[index] = model_.AllocToCache();
  CompareCache(i);
}

void PageAllocTester::CacheAlloc(int i, uint64_t pages) {
  Note("CacheAlloc", i, pages);
  if (pages == 0 || pages > PageCache::kPages) return;
  const auto index = static_cast<size_t>(i);
  CompareRun(caches_[index].Alloc(PageCount(pages)),
             model_.CacheAlloc(model_caches_[index], pages));
  CompareCache(i);
}

void PageAllocTester::FlushCache(int i) {
  Note("FlushCache", i);
  const auto index = static_cast<size_t>(i);
  caches_[index].Flush(pages_);
  model_.Flush(model_caches_[index]);
  model_caches_[index] = {};
  CompareCache(i);
}

void PageAllocTester::CompareReleased(
    const std::vector<PageAllocModel::Pages>& expected) {
  std::vector<PageAllocModel::Pages> released;
  for (const AddrRange& r : os_.released()) {
    released.push_back({PagesIn(r.base - os_.window().base).value(),
                        PagesIn(r.size()).value()});
  }
  os_.ClearReleased();
  TRICOLOR_CHECK(released == expected,
                 "%zu ranges released, the model has %zu, or they differ",
                 released.size(), expected.size());
}

void PageAllocTester::Scavenge(uint64_t pages) {
  Note("Scavenge", pages);
  ScavengeBoth(pages, ScavengeMode::kForce);
}

void PageAllocTester::ScavengeInBackground(uint64_t pages) {
  Note("ScavengeInBackground", pages);
  ScavengeBoth(pages, ScavengeMode::kBackground);
}

void PageAllocTester::ScavengeBoth(uint64_t pages, ScavengeMode mode) {
  const ByteCount released = pages_.Scavenge(BytesOf(PageCount(pages)), mode);
  const std::vector<PageAllocModel::Pages> expected =
      model_.Scavenge(pages, mode);
  uint64_t sum = 0;
  for (const PageAllocModel::Pages& p : expected) sum += p.count;
  TRICOLOR_CHECK(released == BytesOf(PageCount(sum)),
                 "Scavenge released %" PRIu64 " bytes, the model %" PRIu64,
                 released.value(), BytesOf(PageCount(sum)).value());
  CompareReleased(expected);
}

void PageAllocTester::ScavengeFailing(uint64_t pages) {
  Note("ScavengeFailing", pages);
  os_.FailUnused(true);
  const ByteCount released = pages_.Scavenge(BytesOf(PageCount(pages)));
  os_.FailUnused(false);
  TRICOLOR_CHECK(released == ByteCount(0),
                 "Scavenge released %" PRIu64 " bytes that the OS kept",
                 released.value());
}

void PageAllocTester::TakeCandidate(uint64_t pages) {
  ReturnCandidate(false);
  Note("TakeCandidate", pages);
  TakeBoth(pages, ScavengeMode::kForce);
}

void PageAllocTester::TakeCandidateInBackground(uint64_t pages) {
  ReturnCandidate(false);
  Note("TakeCandidateInBackground", pages);
  TakeBoth(pages, ScavengeMode::kBackground);
}

void PageAllocTester::TakeBoth(uint64_t pages, ScavengeMode mode) {
  candidate_ = pages_.TakeScavengeCandidate(BytesOf(PageCount(pages)), mode);
  model_candidate_ = model_.TakeCandidate(pages, mode);
  const uint64_t count = PagesIn(candidate_.size()).value();
  const bool none = model_candidate_.count == 0;
  const Addr base = none ? Addr() : At(model_candidate_.page);
  TRICOLOR_CHECK(candidate_.base == base && count == model_candidate_.count,
                 "candidate 0x%" PRIx64 ", %" PRIu64
                 " pages, the model has 0x%" PRIx64 ", %" PRIu64,
                 candidate_.base.value(), count, base.value(),
                 model_candidate_.count);
}

void PageAllocTester::ReturnCandidate(bool released) {
  Note("ReturnCandidate", released);
  if (candidate_.empty()) return;
  pages_.ReturnScavengeCandidate(candidate_, released);
  model_.ReturnCandidate(model_candidate_, released);
  candidate_ = {};
  model_candidate_ = {PageAllocModel::kNone, 0};
}

void PageAllocTester::NextGeneration() {
  Note("NextGeneration");
  pages_.NextScavengeGeneration();
  model_.NextGeneration();
}

void PageAllocTester::SetChunk(uint64_t chunk, uint64_t length,
                               uint64_t order) {
  ReturnCandidate(false);
  for (int i = 0; i < kCaches; ++i) FlushCache(i);
  Note("SetChunk", chunk, length, order);
  if (!model_.IsGrown(chunk) || length == 0) return;
  std::vector<ChunkRange> ranges[3];  // used, free, scavenged
  for (uint32_t first = 0; first < kChunkPages;) {
    const auto count =
        static_cast<uint32_t>(std::min<uint64_t>(length, kChunkPages - first));
    ranges[(first / length + order) % 3].push_back({first, count});
    first += count;
  }
  pages_.SetChunkForTest(At(chunk * kChunkPages), ranges[0], ranges[2]);
  model_.SetChunk(chunk, ranges[0], ranges[2]);
}

void PageAllocTester::Check() {
  TRICOLOR_CHECK(
      pages_.free_pages() == PageCount(model_.free_pages()) &&
          pages_.scavenged_pages() == PageCount(model_.scavenged_pages()),
      "%" PRIu64 " free pages, %" PRIu64 " scavenged, the model has %" PRIu64
      ", %" PRIu64,
      pages_.free_pages().value(), pages_.scavenged_pages().value(),
      model_.free_pages(), model_.scavenged_pages());
  pages_.CheckInvariants();
}

void PageAllocTester::CheckThoroughly() {
  Check();
  const std::vector<PageAllocModel::Pages> ranges = model_.GrownRanges();
  TRICOLOR_CHECK(ranges.size() == pages_.in_use().size(),
                 "%" PRIu64 " added ranges, the model has %zu",
                 pages_.in_use().size(), ranges.size());
  for (uint64_t r = 0; r < ranges.size(); ++r) {
    const AddrRange expected{At(ranges[r].page),
                             At(ranges[r].page + ranges[r].count)};
    TRICOLOR_CHECK(pages_.in_use()[r] == expected,
                   "added range %" PRIu64 " begins at 0x%" PRIx64
                   ", the model's at 0x%" PRIx64,
                   r, pages_.in_use()[r].base.value(), expected.base.value());
  }
  TRICOLOR_CHECK(pages_.table_bytes() <= os_.tables().ready_bytes(),
                 "tables of %" PRIu64 " bytes, the OS has given only %" PRIu64,
                 pages_.table_bytes().value(),
                 os_.tables().ready_bytes().value());
  const Addr search = pages_.search_address();
  model_.ForEachChunk([this, search](uint64_t chunk) {
    const PallocData& data = pages_.ChunkForTest(At(chunk * kChunkPages));
    for (uint32_t i = 0; i < kChunkPages; ++i) {
      const uint64_t page = chunk * kChunkPages + i;
      TRICOLOR_CHECK(
          model_.IsUsed(page) || (!search.is_null() && search <= At(page)),
          "page %" PRIu64 " is free, the search begins at 0x%" PRIx64, page,
          search.value());
      TRICOLOR_CHECK(data.used().Get(i) == model_.IsUsed(page) &&
                         data.scavenged().Get(i) == model_.IsScavenged(page),
                     "page %" PRIu64
                     " is used %d, scavenged %d, the model's"
                     " are %d, %d",
                     page, data.used().Get(i), data.scavenged().Get(i),
                     model_.IsUsed(page), model_.IsScavenged(page));
    }
  });
}

}  // namespace tricolor::pagealloc
