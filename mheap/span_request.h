// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What MHeap's ways to a new span hand each other: what is wanted, and what has
// been found for it.
//
// Go counterpart: the arguments and local variables of allocSpan, mheap.go.
// Plain values.

#ifndef TRICOLOR_MHEAP_SPAN_REQUEST_H_
#define TRICOLOR_MHEAP_SPAN_REQUEST_H_

#include <cstdint>

#include "tricolor/base/units.h"
#include "tricolor/mheap/mspan.h"
#include "tricolor/mheap/span_class.h"
#include "tricolor/pagealloc/page_run.h"

namespace tricolor::mheap {

struct SpanRequest {
  PageCount pages;
  PageCount alignment;
  SpanClass span_class;
  SpanState state;
};

// What a span is made of.
struct SpanParts {
  pagealloc::PageRun run;
  MSpan* span = nullptr;
  bool locked = false;  // the caches did not have all of it
  // Of a run out of a page cache: the window, and scavenged pages in the run.
  Addr window;
  uint64_t scavenged_bits = 0;
  // What the heap grew by to get them.
  ByteCount growth;
};

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_SPAN_REQUEST_H_
