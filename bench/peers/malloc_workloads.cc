// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The workloads on malloc and free; with LD_PRELOAD, on any malloc.

#include <cstdlib>

#include "peers/plain_pointers.h"
// The workloads come after their backend's headers.
#include "workloads.h"

namespace {

class MallocBackend : public bench::PlainPointers {
 public:
  static constexpr bool kCollects = false;
  // Nothing of it belongs to a thread.
  using Thread = MallocBackend&;

  template <typename T>
  T* New() {
    return NewArray<T>(1);
  }
  template <typename T>
  T* NewArray(size_t n) {
    void* const p = std::calloc(n, sizeof(T));
    if (p == nullptr) std::abort();
    return static_cast<T*>(p);
  }
  char* NewBytes(size_t n) { return NewArray<char>(n); }
  void Free(void* p) { std::free(p); }
  void Collect() {}
  void ForgetStops() {}
  void PrintStops() {}
  template <typename Join>
  void Await(const Join& join) {
    join();
  }
};

}  // namespace

int main(int argc, char** argv) {
  return bench::Main<MallocBackend>(argc, argv);
}
