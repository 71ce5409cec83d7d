// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// A list of operations on caches and their model. An operation is one byte, its
// kind and its cache, and one byte for each number; the list ends with the
// input.

#include <cstddef>
#include <cstdint>

#include "tricolor/base/fuzzing.h"
#include "tricolor/mcache/mcache_tester.h"

namespace tricolor::mcache {
namespace {

void Step(MCacheTester& t, ByteSource& in) {
  const uint32_t byte = in.Byte();
  const uint32_t cache = byte / 16;
  switch (byte % 16) {
    case 0:
    case 1:
    case 2:
      return t.Allocate(cache, cache / 2, in.Byte());
    case 3:
    case 4: {
      const uint32_t size = in.Byte();
      return t.AllocateTiny(cache, size, size / 16);
    }
    case 5:
      return t.AllocateLarge(cache, cache / 2, in.Byte());
    case 6:
    case 7:
      return t.Interrupt(cache, cache / 2, cache / 4 % 2 != 0, in.Byte());
    case 8: {
      const uint32_t bits = in.Byte();
      return t.WriteBits(cache, bits, bits / 64);
    }
    case 9:
    case 10:
      return t.Drop(in.Byte(), cache);
    case 11:
      return cache % 4 == 0 ? t.Release(cache / 4) : t.Flush(cache);
    case 12:
      return cache % 2 == 0 ? t.PublishStats(cache / 2)
                            : t.Sample(cache / 2, in.Byte());
    case 13:
      return t.Sweep(cache);
    default:
      return t.Cycle();
  }
}

}  // namespace
}  // namespace tricolor::mcache

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tricolor::mcache::MCacheTester t;
  tricolor::ByteSource in(data, size);
  while (!in.empty()) {
    tricolor::mcache::Step(t, in);
    t.Check();
  }
  return 0;
}
