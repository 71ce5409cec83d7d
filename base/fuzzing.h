// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the fuzz targets of all floors share: ByteSource turns an input into
// small numbers, and FuzzProgram writes down the operations that a harness does
// and prints them, as C++ for a test, when a check or a sanitizer stops the
// program.
//
// Test-only. Thread-compatible.

#ifndef TRICOLOR_BASE_FUZZING_H_
#define TRICOLOR_BASE_FUZZING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tricolor {

// When the input has ended every number is 0.
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
  uint64_t Word() {
    uint64_t word = 0;
    for (int i = 0; i < 8; ++i) word |= uint64_t{Byte()} << (8 * i);
    return word;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

// An argument that is C++ already.
struct FuzzCode {
  std::string text;
};

// A harness has one as its first member, so that it is printed also when the
// harness's end goes wrong. There is one at a time.
class FuzzProgram {
 public:
  // `declaration`: the statement that makes the harness, whose name is `name`.
  // Both are empty where functions are called.
  explicit FuzzProgram(std::string_view declaration,
                       std::string_view name = "t");
  ~FuzzProgram();
  FuzzProgram(const FuzzProgram&) = delete;
  FuzzProgram& operator=(const FuzzProgram&) = delete;

  // name.operation(args...); before it is done.
  template <typename... Args>
  void Note(const char* operation, const Args&... args) {
    std::string list;
    ((list += (list.empty() ? "" : ", ") + Spell(args)), ...);
    NoteCall(operation, list);
  }
  // The same, with a list as the last argument: of the numbers that the
  // operation chooses as it goes, which follow by NoteNumber up to NoteEnd.
  template <typename... Args>
  void NoteBegin(const char* operation, const Args&... args) {
    std::string list;
    ((list += Spell(args) + ", "), ...);
    open_ = true;
    text_ += Call(operation) + list + "{";
  }
  void NoteNumber(uint32_t number);  // nothing outside of such a call
  void NoteEnd();

  std::string text() const { return open_ ? text_ + kEnd : text_; }
  // To the standard error stream; neither allocates nor locks.
  void Print() const;

 private:
  static constexpr const char* kEnd = "});\n";

  template <typename T>
  static std::string Spell(const T& value) {
    if constexpr (std::is_same_v<T, FuzzCode>) {
      return value.text;
    } else if constexpr (std::is_same_v<T, bool>) {
      return value ? "true" : "false";
    } else if constexpr (std::is_convertible_v<T, std::string_view>) {
      return Quote(value);
    } else {
      return std::to_string(value);
    }
  }
  static std::string Quote(std::string_view text);
  std::string Call(const char* operation) const;
  void NoteCall(const char* operation, const std::string& arguments);

  const std::string name_;
  std::string text_;
  bool open_ = false;  // between NoteBegin and NoteEnd
};

// Does operation(args...) of the harness, as whose call it is noted.
template <typename Harness, typename... Parameters, typename... Args>
void DoNoted(FuzzProgram& program, const char* name, Harness& harness,
             void (Harness::*operation)(Parameters...), Args... args) {
  program.Note(name, args...);
  (harness.*operation)(std::move(args)...);
}

}  // namespace tricolor

#endif  // TRICOLOR_BASE_FUZZING_H_
