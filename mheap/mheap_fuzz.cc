// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Operations on a page heap against the model of mheap_tester.h. The first byte
// of the input chooses the kind of heap and of OS, each following eight are an
// operation.

#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "tricolor/base/check.h"
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

// The steps so far, which a fatal report is followed by.
struct History {
  unsigned choice = 0;
  std::vector<uint64_t> words;
};
History history;

void Print(const char*) {
  std::fprintf(stderr, "  MHeapTester tester(OptionsFor(%u));\n",
               history.choice);
  for (const uint64_t word : history.words) {
    std::fprintf(stderr, "  tester.Step(%#" PRIx64 ");\n", word);
  }
}

void Run(const uint8_t* data, size_t size) {
  history = {data[0], {}};
  SetFatalHook(&Print);
  MHeapTester tester(OptionsFor(data[0]));
  const bool failing = (data[0] & 32) != 0;
  if (failing) {
    tester.set_failing(true);
    tester.os().FailRandomly(data[0], 0.05);
  }
  for (size_t i = 1; i + 8 <= size; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, data + i, sizeof word);
    history.words.push_back(word);
    tester.Step(word);
  }
}

}  // namespace
}  // namespace tricolor::mheap

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) tricolor::mheap::Run(data, size);
  return 0;
}
