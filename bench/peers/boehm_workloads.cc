// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The workloads on the Boehm-Demers-Weiser collector (libgc).

#include <gc.h>

#include <cstdlib>

#include "peers/plain_pointers.h"
// The workloads come after their backend's headers.
#include "workloads.h"

namespace {

class BoehmBackend : public bench::PlainPointers {
 public:
  static constexpr bool kCollects = true;
  using Thread = void;

  BoehmBackend() { GC_INIT(); }

  template <typename T>
  T* New() {
    return NewArray<T>(1);
  }
  template <typename T>
  T* NewArray(size_t n) {
    return static_cast<T*>(OrDie(GC_MALLOC(n * sizeof(T))));
  }
  // libgc does not clear memory without pointers.
  char* NewBytes(size_t n) {
    return static_cast<char*>(std::memset(OrDie(GC_MALLOC_ATOMIC(n)), 0, n));
  }
  void Free(const void*) {}
  void Collect() { GC_gcollect(); }
  void ForgetStops() {}
  void PrintStops() {}

 private:
  static void* OrDie(void* p) {
    if (p == nullptr) std::abort();
    return p;
  }
};

}  // namespace

int main(int argc, char** argv) {
  return bench::Main<BoehmBackend>(argc, argv);
}
