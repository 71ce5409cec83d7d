// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Operations on a page heap against the model of mheap_tester.h. The first byte
// of the input chooses the kind of heap and of OS, each following eight are an
// operation. A failure prints the operations as C++ for a test.

#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "tricolor/base/fuzzing.h"
#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap_tester.h"

namespace tricolor::mheap {
namespace {

MHeapTesterOptions OptionsFor(uint8_t choice) {
  MHeapTesterOptions options;
  options.heap.reservation = kArenaSize;
  options.heap.use_processor_caches = (choice & 1) == 0;
  if ((choice & 2) != 0) options.heap.max_mapped = ByteCount(8 << 20);
  options.os.page_size = ByteCount(uint64_t{4 << 10} << ((choice >> 2) & 3));
  options.os.unused_memory_is_zero = (choice & 16) == 0;
  if ((choice & 64) != 0) options.heap.huge_pages_from = ByteCount(0);
  return options;
}

std::string Hex(uint64_t word) {
  char text[20];
  std::snprintf(text, sizeof text, "%#" PRIx64, word);
  return text;
}

void Run(const uint8_t* data, size_t size) {
  const uint8_t choice = data[0];
  FuzzProgram program("MHeapTester t(OptionsFor(" + std::to_string(choice) +
                      "));");
  MHeapTester t(OptionsFor(choice));
  if ((choice & 32) != 0) {
    program.Note("set_failing", true);
    t.set_failing(true);
    program.Note("os().FailRandomly", choice, FuzzCode{"0.05"});
    t.os().FailRandomly(choice, 0.05);
  }
  for (size_t i = 1; i + 8 <= size; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, data + i, sizeof word);
    program.Note("Step", FuzzCode{Hex(word)});
    t.Step(word);
  }
}

}  // namespace
}  // namespace tricolor::mheap

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) tricolor::mheap::Run(data, size);
  return 0;
}
