// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mheap/processor_cache.h"

#include "tricolor/base/check.h"

namespace tricolor::mheap {

ProcessorCache::~ProcessorCache() {
  TRICOLOR_CHECK(!attached_,
                 "processor %p destroyed while attached, with %u span "
                 "structures and %llu pages cached",
                 static_cast<void*>(this), span_count_,
                 static_cast<unsigned long long>(pages_.free_pages().value()));
}

}  // namespace tricolor::mheap
