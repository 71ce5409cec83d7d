// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/tools/size_class_generator.h"

#include <bit>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace tricolor::tools {
namespace {

constexpr uint32_t kPage = 8192;
constexpr uint32_t kMaxSize = 32768;
constexpr uint32_t kMaxPages = 10;
constexpr uint32_t kPointerBitmapBytes = 128;
constexpr uint32_t kMaxBitmapObject = 512;

// The lookup from bytes to class goes by steps of kFineStep up to kFineLimit
// and by steps of kCoarseStep above.
constexpr uint32_t kFineStep = 8;
constexpr uint32_t kFineLimit = 1024;
constexpr uint32_t kCoarseStep = 128;

uint32_t RoundUp(uint32_t n, uint32_t step) {
  return (n + step - 1) / step * step;
}

// The multiple that a request of `size` bytes is rounded up to before anything
// else. From 128 bytes on it is at most an eighth of the size, which bounds
// the waste by rounding to 12.5 %.
uint32_t Granularity(uint32_t size) {
  if (size <= 32) return 8;
  if (size <= 128) return 16;
  if (size > 2048) return 256;
  return std::bit_floor(size - 1) / 8;
}

// The fewest pages whose tail, too short for another slot, is at most 12.5 %.
uint32_t PagesFor(uint32_t size) {
  uint32_t pages = 1;
  while (pages * kPage < size || pages * kPage % size > pages * kPage / 8) {
    ++pages;
  }
  return pages;
}

// The largest slot with which as many of them fit into the span. A multiple of
// kCoarseStep, so that the lookup table can tell it from its neighbors.
uint32_t Stretch(const SizeClass& c) {
  const uint32_t fitting = c.SpanBytes() / c.Slots();
  const uint32_t stretched = fitting / kCoarseStep * kCoarseStep;
  return stretched > c.size ? stretched : c.size;
}

uint64_t Magic(uint32_t size) {
  return ((uint64_t{1} << 32) + size - 1) / size;
}

uint8_t ClassFor(const std::vector<SizeClass>& classes, uint32_t size) {
  uint32_t i = 0;
  while (classes[i].size < size) ++i;
  return static_cast<uint8_t>(i + 1);
}

std::string Violation(const char* rule, uint32_t size, uint32_t detail) {
  return std::string(rule) + ": size " + std::to_string(size) + ", at " +
         std::to_string(detail);
}

// The rules for one class by itself.
std::string FindClassViolation(const SizeClass& c) {
  if (c.pages < 1 || c.pages > kMaxPages) {
    return Violation("pages of a span", c.size, c.pages);
  }
  const uint32_t tail = c.SpanBytes() - c.Slots() * c.size;
  if (tail > c.SpanBytes() / 8) return Violation("tail waste", c.size, tail);
  const uint32_t alignment = c.size > kFineLimit ? kCoarseStep
                             : c.size > 32       ? 16
                                                 : 8;
  if (c.size % alignment != 0) {
    return Violation("alignment", c.size, alignment);
  }
  if (c.size <= kMaxBitmapObject && c.pages != 1) {
    return Violation("one page for pointer bitmaps", c.size, c.pages);
  }
  if (Magic(c.size) > UINT32_MAX) return Violation("magic", c.size, 0);
  for (uint32_t offset = 0; offset < c.SpanBytes(); ++offset) {
    if (offset * Magic(c.size) >> 32 != offset / c.size) {
      return Violation("reciprocal division", c.size, offset);
    }
  }
  return "";
}

// The rules for a request of `size` bytes that is given a slot of class `c`.
// Rounding to the granularity wastes little, and the class has as many slots as
// a span of just as many pages could have of the rounded size.
std::string FindRequestViolation(const SizeClass& c, uint32_t size) {
  const uint32_t rounded = RoundUp(size, Granularity(size));
  if (size >= 128 ? (rounded - size) * 8 > rounded : rounded - size >= 16) {
    return Violation("rounding waste", size, rounded);
  }
  const SizeClass exact{rounded, c.pages};
  if (exact.Slots() > c.Slots()) {
    return Violation("merging costs slots", size, c.size);
  }
  if (std::has_single_bit(size) && size >= kFineStep && c.size != size) {
    return Violation("powers of two are classes", size, c.size);
  }
  return "";
}

std::string FormatTable(const char* declaration, size_t count,
                        const std::function<uint64_t(size_t)>& value) {
  std::string text = std::string("inline constexpr ") + declaration + "[" +
                     std::to_string(count) + "] = {";
  size_t column = SIZE_MAX;
  for (size_t i = 0; i < count; ++i) {
    const std::string item = std::to_string(value(i)) + ",";
    if (column > 79 - item.size() - 1) {
      text += "\n   ";
      column = 3;
    }
    text += " " + item;
    column += 1 + item.size();
  }
  return text + "\n};\n";
}

// One line a class, as an overview.
std::string FormatOverview(const std::vector<SizeClass>& classes) {
  std::string text =
      "// class   size  pages  slots  with bitmap   tail  most waste\n";
  uint32_t previous = 0;
  for (size_t i = 0; i < classes.size(); ++i) {
    const SizeClass& c = classes[i];
    // The worst request is one byte larger than the class below.
    const double used = double{1.0} * (previous + 1) * c.Slots();
    char line[96];
    char bitmap[16] = "-";
    if (c.size <= kMaxBitmapObject) {
      std::snprintf(bitmap, sizeof(bitmap), "%u", c.Slots(kPointerBitmapBytes));
    }
    std::snprintf(line, sizeof(line),
                  "//   %3zu  %5u  %5u  %5u  %11s  %5u  %8.2f %%\n", i + 1,
                  c.size, c.pages, c.Slots(), bitmap,
                  c.SpanBytes() - c.Slots() * c.size,
                  100.0 * (1.0 - used / c.SpanBytes()));
    text += line;
    previous = c.size;
  }
  return text;
}

constexpr char kHead[] =
    R"(// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The size classes of small objects. Class 0 stands for large objects, which
// have a span to themselves. Generated by //tools:gen_size_classes, which
// proves the rules of docs/size-classes.md: do not edit.
//
// Go counterpart: sizeclasses.go. Constants and pure functions; a lookup is
// one load from a table.
)";

constexpr char kFunctions[] = R"(
// The smallest class of at least `size` bytes; 1 <= size <= kMaxSmallSize.
constexpr uint8_t SizeClassFor(size_t size) {
  return size <= 1024 ? kClassBy8[(size + 7) / 8]
                      : kClassBy128[(size - 1024 + 127) / 128];
}

// The smallest class of at least `size` bytes whose slots are all aligned to
// `align`, a power of two; `size` is at least 1. 0, large, when there is none:
// for more than kMaxSmallSize bytes or more than a page's alignment.
constexpr uint8_t SizeClassFor(size_t size, size_t align) {
  if (size > kMaxSmallSize || align > kMaxSmallAlign) return 0;
  uint8_t size_class = SizeClassFor(size);
  while ((kClassSize[size_class] & (align - 1)) != 0) ++size_class;
  return size_class;
}

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SIZE_CLASSES_H_
)";

std::string FormatConstants(const std::vector<SizeClass>& classes) {
  return R"(
#ifndef TRICOLOR_MHEAP_SIZE_CLASSES_H_
#define TRICOLOR_MHEAP_SIZE_CLASSES_H_

#include <cstddef>
#include <cstdint>

namespace tricolor::mheap {

inline constexpr int kSizeClasses = )" +
         std::to_string(classes.size() + 1) + R"(;
inline constexpr size_t kMaxSmallSize = )" +
         std::to_string(classes.back().size) + R"(;
// Spans begin at a page, so no slot can promise more.
inline constexpr size_t kMaxSmallAlign = )" +
         std::to_string(kPage) + R"(;
inline constexpr uint32_t kMaxSlots = )" +
         std::to_string(classes.front().Slots()) + R"(;
inline constexpr uint32_t kMaxClassPages = )" +
         std::to_string(kMaxPages) + R"(;
)";
}

std::string FormatClassTables(const std::vector<SizeClass>& classes) {
  const size_t count = classes.size() + 1;
  // Entry 0 of each table by class is 0.
  const auto by_class = [&](auto value) {
    return [&classes, value](size_t i) -> uint64_t {
      return i == 0 ? 0 : value(classes[i - 1]);
    };
  };
  return "\n// Bytes of a slot.\n" +
         FormatTable("uint16_t kClassSize", count,
                     by_class([](const SizeClass& c) { return c.size; })) +
         "\n// Pages of a span.\n" +
         FormatTable("uint8_t kClassPages", count,
                     by_class([](const SizeClass& c) { return c.pages; })) +
         "\n// Slots of a span without a pointer bitmap.\n" +
         FormatTable("uint16_t kClassSlots", count,
                     by_class([](const SizeClass& c) { return c.Slots(); })) +
         "\n// Slots of a span whose last " +
         std::to_string(kPointerBitmapBytes) +
         " bytes are a pointer bitmap; 0 for\n// the classes that have "
         "none.\n" +
         FormatTable("uint16_t kClassBitmapSlots", count,
                     by_class([](const SizeClass& c) {
                       return c.size > kMaxBitmapObject
                                  ? 0
                                  : c.Slots(kPointerBitmapBytes);
                     })) +
         "\n// offset * magic >> 32 == offset / size for every offset in the "
         "span.\n" +
         FormatTable(
             "uint32_t kClassDivMagic", count,
             by_class([](const SizeClass& c) { return Magic(c.size); }));
}

std::string FormatLookupTables(const std::vector<SizeClass>& classes) {
  const auto fine = [&](size_t i) -> uint64_t {
    if (i == 0) return 0;
    return ClassFor(classes, static_cast<uint32_t>(i) * kFineStep);
  };
  const auto coarse = [&](size_t i) -> uint64_t {
    return ClassFor(classes,
                    kFineLimit + static_cast<uint32_t>(i) * kCoarseStep);
  };
  return "\n// The class for at most 8 * i bytes.\n" +
         FormatTable("uint8_t kClassBy8", kFineLimit / kFineStep + 1, fine) +
         "\n// The class for at most 1024 + 128 * i bytes.\n" +
         FormatTable("uint8_t kClassBy128",
                     (kMaxSize - kFineLimit) / kCoarseStep + 1, coarse);
}

}  // namespace

uint32_t SizeClass::SpanBytes() const { return pages * kPage; }

uint32_t SizeClass::Slots(uint32_t reserved) const {
  return (SpanBytes() - reserved) / size;
}

std::vector<SizeClass> DeriveSizeClasses() {
  std::vector<SizeClass> classes;
  for (uint32_t size = kFineStep; size <= kMaxSize;
       size = RoundUp(size + 1, Granularity(size + 1))) {
    const SizeClass candidate{size, PagesFor(size)};
    // A smaller class that has as few slots in as many pages saves nothing.
    if (!classes.empty() && classes.back().pages == candidate.pages &&
        classes.back().Slots() == candidate.Slots()) {
      classes.back() = candidate;
    } else {
      classes.push_back(candidate);
    }
  }
  for (SizeClass& c : classes) c.size = Stretch(c);
  return classes;
}

std::string FindViolation(const std::vector<SizeClass>& classes) {
  if (classes.empty() || classes.back().size != kMaxSize) {
    return "the last class is not the largest small size";
  }
  uint32_t previous = 0;
  for (const SizeClass& c : classes) {
    if (c.size <= previous) return Violation("order", c.size, previous);
    previous = c.size;
    std::string violation = FindClassViolation(c);
    if (!violation.empty()) return violation;
  }
  for (uint32_t size = 1; size <= kMaxSize; ++size) {
    const uint8_t size_class = ClassFor(classes, size);
    std::string violation =
        FindRequestViolation(classes[size_class - 1u], size);
    if (!violation.empty()) return violation;
    // What the generated lookup answers is the answer for the step's end.
    const uint32_t step = size <= kFineLimit ? kFineStep : kCoarseStep;
    if (ClassFor(classes, RoundUp(size, step)) != size_class) {
      return Violation("lookup step", size, step);
    }
  }
  return "";
}

std::string FormatHeader(const std::vector<SizeClass>& classes) {
  return kHead + FormatConstants(classes) + "\n" + FormatOverview(classes) +
         "\n// clang-format off\n" + FormatClassTables(classes) +
         FormatLookupTables(classes) + "\n// clang-format on\n" + kFunctions;
}

}  // namespace tricolor::tools
