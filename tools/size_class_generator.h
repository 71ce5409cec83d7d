// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Derives the size classes of the span heap, proves the rules that they obey,
// and writes mheap/size_classes.h. docs/size-classes.md states the rules.
//
// Go counterpart: _mkmalloc/mksizeclasses.go. A development tool: it uses the
// standard library freely.

#ifndef TRICOLOR_TOOLS_SIZE_CLASS_GENERATOR_H_
#define TRICOLOR_TOOLS_SIZE_CLASS_GENERATOR_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tricolor::tools {

struct SizeClass {
  uint32_t size = 0;   // bytes of a slot
  uint32_t pages = 0;  // pages of a span

  uint32_t SpanBytes() const;
  // Slots of a span of which the last `reserved` bytes are taken.
  uint32_t Slots(uint32_t reserved = 0) const;
  friend bool operator==(const SizeClass&, const SizeClass&) = default;
};

// The classes 1, 2, ...; class 0 (large objects) is not among them.
std::vector<SizeClass> DeriveSizeClasses();

// Empty when `classes` obey all rules; otherwise the first violation, as text.
// Checks every size from 1 to 32768 and every offset in every span.
std::string FindViolation(const std::vector<SizeClass>& classes);

// The text of mheap/size_classes.h.
std::string FormatHeader(const std::vector<SizeClass>& classes);

}  // namespace tricolor::tools

#endif  // TRICOLOR_TOOLS_SIZE_CLASS_GENERATOR_H_
