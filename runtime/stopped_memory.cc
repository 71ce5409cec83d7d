// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/stopped_memory.h"

#include <sys/mman.h>

#include <cstddef>
#include <memory_resource>

#include "tricolor/base/check.h"

namespace tricolor::runtime {
namespace {

class PagesOfTheSystem final : public std::pmr::memory_resource {
  void* do_allocate(size_t bytes, size_t) override {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRICOLOR_CHECK(p != MAP_FAILED,
                   "no memory for %zu bytes while the world is stopped", bytes);
    return p;
  }
  void do_deallocate(void* p, size_t bytes, size_t) override {
    munmap(p, bytes);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
};

}  // namespace

std::pmr::memory_resource* StoppedMemory() {
  static PagesOfTheSystem pages;
  return &pages;
}

}  // namespace tricolor::runtime
