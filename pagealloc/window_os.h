// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// An OsMemory for tests of the page allocator: tables come from a
// FakeOsMemory; the window is a range of addresses that nobody has reserved, so
// that any touch of it faults. Unused in the window is recorded, and fails on
// demand.

#ifndef TRICOLOR_PAGEALLOC_WINDOW_OS_H_
#define TRICOLOR_PAGEALLOC_WINDOW_OS_H_

#include <cstdint>
#include <vector>

#include "tricolor/base/check.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/base/sys/fake_os_memory.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/palloc_bits.h"

namespace tricolor::pagealloc {

class WindowOs final : public OsMemory {
 public:
  // An address that no process on Linux x86-64 or arm64 has memory at.
  static constexpr Addr kWindowBase{uint64_t{1} << 50};

  explicit WindowOs(uint64_t window_chunks,
                    ByteCount page_size = ByteCount(4 << 10),
                    ByteCount huge_page_size = ByteCount(2 << 20))
      : window_{kWindowBase, kWindowBase + kChunkBytes * window_chunks},
        tables_({.page_size = page_size, .huge_page_size = huge_page_size}) {}

  AddrRange window() const { return window_; }
  FakeOsMemory& tables() { return tables_; }
  // Released ranges in the order of the calls.
  const std::vector<AddrRange>& released() const { return released_; }
  void ClearReleased() { released_.clear(); }
  // From now on all Unused in the window fail, or none.
  void FailUnused(bool fail) { fail_unused_ = fail; }

  ByteCount page_size() const override { return tables_.page_size(); }
  ByteCount huge_page_size() const override { return tables_.huge_page_size(); }
  bool unused_memory_is_zero() const override { return true; }

  Addr Reserve(ByteCount size, ByteCount alignment) override {
    return tables_.Reserve(size, alignment);
  }
  bool Map(AddrRange range) override { return tables_.Map(Outside(range)); }
  bool Used(AddrRange range) override { return tables_.Used(Outside(range)); }
  bool Unused(AddrRange range) override {
    if (!window_.Contains(range.base)) return tables_.Unused(range);
    TRICOLOR_CHECK(range.base.IsAligned(page_size().value()) &&
                       range.limit.IsAligned(page_size().value()) &&
                       range.base < range.limit,
                   "WindowOs: Unused of a part of an OS page");
    if (fail_unused_) return false;
    released_.push_back(range);
    return true;
  }
  void HugePage(AddrRange range) override { tables_.HugePage(Outside(range)); }
  void NoHugePage(AddrRange range) override {
    tables_.NoHugePage(Outside(range));
  }
  void Free(AddrRange range) override { tables_.Free(Outside(range)); }

 private:
  AddrRange Outside(AddrRange range) const {
    TRICOLOR_CHECK(!window_.Contains(range.base),
                   "WindowOs: the page allocator changed its window");
    return range;
  }

  const AddrRange window_;
  FakeOsMemory tables_;
  std::vector<AddrRange> released_;
  bool fail_unused_ = false;
};

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_WINDOW_OS_H_
