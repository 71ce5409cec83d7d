// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// AllocationSampler: what a heap profiler implements. Of all the bytes that are
// allocated, one in `rate` on average is chosen at random, and the object that
// holds it is reported. A chance of 1 - exp(-bytes / rate) for each object,
// whatever was allocated before: no pattern of the program can hide from it.
//
// Go counterpart: MemProfileRate, profilealloc in malloc.go, scaleHeapSample in
// runtime/pprof. The program's.

#ifndef TRICOLOR_MCACHE_ALLOCATION_SAMPLER_H_
#define TRICOLOR_MCACHE_ALLOCATION_SAMPLER_H_

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "tricolor/mheap/type_info.h"

namespace tricolor {

struct AllocationSample {
  // Zeroed; of its type, but no constructor has run.
  void* object = nullptr;
  // What it takes in the heap: its slot, or its pages.
  size_t bytes = 0;
  // Of an array, its elements'. Null: a 16-byte block for several objects of
  // fewer bytes and without pointers, of which this is the first.
  const TypeInfo* type = nullptr;
  // The mean number of bytes between samples.
  uint64_t rate = 0;

  // How many bytes of objects like this one it stands for: summed up, an
  // unbiased estimate of all bytes that were allocated. Divided by `bytes`: of
  // the number of objects. (At rate 1 every object is reported.)
  double EstimatedBytes() const {
    const auto size = static_cast<double>(bytes);
    if (rate <= 1) return size;
    return -size / std::expm1(-size / static_cast<double>(rate));
  }
};

class AllocationSampler {
 public:
  // On the allocating thread, in the middle of the allocation. May attach
  // cleanups and weak pointers to the object, and so learn of its death; must
  // not allocate from the heap, collect, wait for threads that are attached to
  // it, or throw. Nor fork, in exact mode, unless a Root holds the object.
  virtual void OnSample(const AllocationSample& sample) = 0;

 protected:
  ~AllocationSampler() = default;
};

}  // namespace tricolor

#endif  // TRICOLOR_MCACHE_ALLOCATION_SAMPLER_H_
