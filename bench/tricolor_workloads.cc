// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The workloads on a Tricolor heap.

#include <cstdio>
#include <cstdlib>

#include "tricolor/runtime/heap.h"
// The workloads come after their backend's headers.
#include "workloads.h"

namespace {

template <typename T>
T* OrDie(T* object) {
  if (object == nullptr) {
    std::fprintf(stderr, "out of memory\n");
    std::exit(1);
  }
  return object;
}

class TricolorBackend {
 public:
  static constexpr bool kCollects = true;
  class Thread;
  template <typename T>
  using Field = tricolor::Ptr<T>;
  template <typename T>
  using Keep = tricolor::Root<T>;

  template <typename T>
  T* New() {
    return OrDie(mutator_.New<T>());
  }
  template <typename T>
  T* NewArray(size_t n) {
    return OrDie(mutator_.NewArray<T>(n));
  }
  char* NewBytes(size_t n) { return NewArray<char>(n); }
  void Free(const void*) {}
  void Collect() { heap_.Collect(); }
  void ForgetStops() { before_ = heap_.ReadMemStats(); }
  void PrintStops() {
    tricolor::MemStats stats = heap_.ReadMemStats();
    stats.pauses -= before_.pauses;
    stats.stopped -= before_.stopped;
    const auto print = [](const char* figure,
                          const tricolor::StopHistogram& stops, double q) {
      bench::Print(figure, static_cast<double>(stops.Quantile(q)) / 1e3);
    };
    print("stop-p50-us", stats.pauses, 0.5);
    print("stop-p99-us", stats.pauses, 0.99);
    print("stop-max-us", stats.pauses, 1);
    print("stopped-p50-us", stats.stopped, 0.5);
    print("stopped-max-us", stats.stopped, 1);
    bench::Print("stop-collections",
                 static_cast<double>(stats.num_gc - before_.num_gc));
  }
  template <typename Join>
  void Await(const Join& join) {
    tricolor::Mutator::NativeScope native(mutator_);
    join();
  }

 private:
  tricolor::Heap heap_;
  tricolor::Mutator mutator_{heap_};
  tricolor::MemStats before_;
};

class TricolorBackend::Thread {
 public:
  explicit Thread(TricolorBackend& backend) : mutator_(backend.heap_) {}
  template <typename T>
  T* New() {
    return OrDie(mutator_.New<T>());
  }
  void Free(const void*) {}

 private:
  tricolor::Mutator mutator_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::Main<TricolorBackend>(argc, argv);
}
