// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// PallocSum: what the radix tree knows of a power-of-two-sized, aligned region
// of pages: the lengths of the free runs at its start and at its end, and of
// its longest free run, 21 bits each in one word. A run of all 2^21 pages,
// which only a root entry has, does not fit into 21 bits; the top bit alone
// says it.
//
// Go counterpart: pallocSum, mergeSummaries (mpagealloc.go). A value type whose
// zero says that nothing is free (or that nothing was ever grown there).
//
// INV-PAGEALLOC-1: start <= max, end <= max <= pages of the region; all three
// equal the region's size or none does.

#ifndef TRICOLOR_PAGEALLOC_PALLOC_SUM_H_
#define TRICOLOR_PAGEALLOC_PALLOC_SUM_H_

#include <algorithm>
#include <bit>
#include <cstdint>

namespace tricolor::pagealloc {

class PallocSum {
 public:
  static constexpr unsigned kFieldBits = 21;
  static constexpr uint32_t kMaxPages = uint32_t{1} << kFieldBits;
  // Children of one parent, and the log2 of it.
  static constexpr unsigned kFanoutBits = 3;
  static constexpr unsigned kFanout = 1u << kFanoutBits;

  constexpr PallocSum() = default;

  static constexpr PallocSum Pack(uint32_t start, uint32_t max, uint32_t end) {
    if (max == kMaxPages) return PallocSum(kAllFree);
    return PallocSum(uint64_t{start} | uint64_t{max} << kFieldBits |
                     uint64_t{end} << (2 * kFieldBits));
  }
  // The summary of `pages` pages that are all free; at most kMaxPages.
  static constexpr PallocSum AllFree(uint32_t pages) {
    return Pack(pages, pages, pages);
  }

  constexpr uint32_t start() const { return Field(0); }
  constexpr uint32_t max() const { return Field(1); }
  constexpr uint32_t end() const { return Field(2); }
  constexpr uint64_t bits() const { return bits_; }
  // True when the region has no free page.
  constexpr bool none_free() const { return bits_ == 0; }

  friend constexpr bool operator==(PallocSum, PallocSum) = default;

  // The summary of the region made of the kFanout regions of `children`, which
  // have 2^log_child_pages pages each and are never themselves of kMaxPages.
  //
  // Goes from one child that is not all free to the next; what is free between
  // them needs no look at the children in between.
  static constexpr PallocSum Merge(const PallocSum* children,
                                   unsigned log_child_pages) {
    const PallocSum full = AllFree(uint32_t{1} << log_child_pages);
    unsigned rest = 0;  // bit i: child i is not all free
    for (unsigned i = 0; i < kFanout; ++i) {
      rest |= static_cast<unsigned>(children[i] != full) << i;
    }
    if (rest == 0) return AllFree(kFanout << log_child_pages);

    uint32_t start = 0;
    uint32_t max = 0;
    uint32_t run = 0;   // free pages that end where child `next` begins
    unsigned next = 0;  // the child after the one looked at last
    for (bool first = true; rest != 0; rest &= rest - 1, first = false) {
      const auto i = static_cast<unsigned>(std::countr_zero(rest));
      const uint64_t bits = children[i].bits_;
      run += ((i - next) << log_child_pages) + Unpack(bits, 0);
      if (first) start = run;
      max = std::max(max, std::max(run, Unpack(bits, 1)));
      run = Unpack(bits, 2);
      next = i + 1;
    }
    const uint32_t end = run + ((kFanout - next) << log_child_pages);
    return Pack(start, std::max(max, end), end);
  }

  // The same, given that it was `parent` when child `k` was `old`, before pages
  // of that child became used, and nothing else changed.
  static constexpr PallocSum MergeAfterShrink(PallocSum parent,
                                              const PallocSum* children,
                                              unsigned log_child_pages,
                                              unsigned k, PallocSum old) {
    const Neighbors beside(parent, children, log_child_pages, k);
    if (!beside.known) return Merge(children, log_child_pages);
    uint32_t max = parent.max();
    const uint32_t lost = beside.Longest(old);
    if (lost == max) {
      // A longest run has become shorter. Others have room only beside it.
      max = beside.Longest(children[k]);
      if (max < (kFanout << log_child_pages) - lost) {
        return Merge(children, log_child_pages);
      }
    }
    return beside.Join(parent, children[k], max);
  }
  // The same, before pages of that child became free.
  static constexpr PallocSum MergeAfterGrow(PallocSum parent,
                                            const PallocSum* children,
                                            unsigned log_child_pages,
                                            unsigned k) {
    const Neighbors beside(parent, children, log_child_pages, k);
    if (!beside.known) return Merge(children, log_child_pages);
    return beside.Join(parent, children[k],
                       std::max(parent.max(), beside.Longest(children[k])));
  }

 private:
  // What is free right below and right above one child, as far as it can be
  // told at a glance: a neighbor that is not all free, or free pages up to the
  // parent's end.
  struct Neighbors {
    constexpr Neighbors(PallocSum parent, const PallocSum* children,
                        unsigned log_child_pages, unsigned k)
        : full(uint32_t{1} << log_child_pages),
          pages_below(k << log_child_pages),
          pages_above((kFanout - 1 - k) << log_child_pages),
          below(k == 0 ? 0 : Unpack(children[k - 1].bits_, 2)),
          above(k == kFanout - 1 ? 0 : Unpack(children[k + 1].bits_, 0)) {
      if (below == full) {
        below = pages_below;
        known = parent.start() >= pages_below;
      }
      if (above == full) {
        above = pages_above;
        known = known && parent.end() >= pages_above;
      }
    }

    // The longest run that has pages of the child, if it is `child`.
    constexpr uint32_t Longest(PallocSum child) const {
      const uint32_t start = Unpack(child.bits_, 0);
      if (start == full) return below + full + above;
      return std::max(Unpack(child.bits_, 1),
                      std::max(below + start, Unpack(child.bits_, 2) + above));
    }
    // The parent's summary with `max`, if the child is now `child`.
    constexpr PallocSum Join(PallocSum parent, PallocSum child,
                             uint32_t max) const {
      uint32_t start = parent.start();
      uint32_t end = parent.end();
      const uint32_t child_start = Unpack(child.bits_, 0);
      const bool all = child_start == full;
      if (below == pages_below) start = below + child_start + (all ? above : 0);
      if (above == pages_above) {
        end = Unpack(child.bits_, 2) + above + (all ? below : 0);
      }
      return Pack(start, max, end);
    }

    uint32_t full;
    uint32_t pages_below;
    uint32_t pages_above;
    uint32_t below;
    uint32_t above;
    bool known = true;
  };

  static constexpr uint32_t kFieldMask = kMaxPages - 1;
  static constexpr uint64_t kAllFree = uint64_t{1} << 63;

  constexpr explicit PallocSum(uint64_t bits) : bits_(bits) {}

  constexpr uint32_t Field(unsigned i) const {
    if (bits_ == kAllFree) return kMaxPages;
    return Unpack(bits_, i);
  }
  static constexpr uint32_t Unpack(uint64_t bits, unsigned i) {
    return static_cast<uint32_t>(bits >> (i * kFieldBits)) & kFieldMask;
  }

  uint64_t bits_ = 0;
};

static_assert(sizeof(PallocSum) == 8);
static_assert(3 * PallocSum::kFieldBits == 63,
              "the top bit is free for the all-free form");

}  // namespace tricolor::pagealloc

#endif  // TRICOLOR_PAGEALLOC_PALLOC_SUM_H_
