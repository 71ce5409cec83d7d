// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Turns the bytes of a fuzzer's input into small numbers. When the input has
// ended every number is 0. Thread-compatible.

#ifndef TRICOLOR_FUZZ_BYTE_SOURCE_H_
#define TRICOLOR_FUZZ_BYTE_SOURCE_H_

#include <cstddef>
#include <cstdint>

namespace tricolor::fuzz {

class ByteSource {
 public:
  ByteSource(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool empty() const { return size_ == 0; }
  uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  // In [0, n); n in [1, 65536].
  uint32_t Below(uint32_t n) {
    uint32_t value = Byte();
    if (n > 256) value |= static_cast<uint32_t>(Byte()) << 8;
    return value % n;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace tricolor::fuzz

#endif  // TRICOLOR_FUZZ_BYTE_SOURCE_H_
