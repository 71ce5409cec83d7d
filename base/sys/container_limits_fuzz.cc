// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Texts of control groups and mounts. The input is the text of several files, a
// NUL between each two: /proc/self/cgroup, /proc/self/mountinfo, and the limits
// of a group of either version. Each line goes to the parsers, whose answers
// are compared with simpler ones, and all of it is read as files.

#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "tricolor/base/check.h"
#include "tricolor/base/fuzzing.h"
#include "tricolor/base/sys/container_limits.h"

namespace tricolor {
namespace {

#define CHECK_THAT(condition) TRICOLOR_CHECK(condition, "%s", #condition)

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string Trimmed(const std::string& text) {
  const size_t last = text.find_last_not_of(" \t\n\r");
  return text.substr(0, last + 1);
}

bool IsNumber(const std::string& text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

// Of a text of digits; -1 when it is beyond 2^64.
__int128 NumberIn(const std::string& text) {
  __int128 number = 0;
  for (const char c : text) {
    number = number * 10 + (c - '0');
    if (number > UINT64_MAX) return -1;
  }
  return number;
}

// ---- Each parser.

void CheckMemoryLimit(const std::string& text) {
  uint64_t bytes = 17;
  const bool ok = ParseMemoryLimit(text, &bytes);
  const std::string trimmed = Trimmed(text);
  if (trimmed == "max") {
    CHECK_THAT(ok && bytes == kNoMemoryLimit);
    return;
  }
  const __int128 number = IsNumber(trimmed) ? NumberIn(trimmed) : -1;
  CHECK_THAT(ok == (number >= 0));
  if (!ok) {
    CHECK_THAT(bytes == 17);
  } else if (number > __int128{1} << 62) {
    CHECK_THAT(bytes == kNoMemoryLimit);
  } else {
    CHECK_THAT(bytes == static_cast<uint64_t>(number));
  }
}

void CheckCpus(bool ok, double cpus) {
  CHECK_THAT(ok ? cpus > 0 : cpus == -1);
  ContainerLimits limits;
  limits.cpus = cpus;
  if (!ok) return;
  const int usable = UsableCpus(limits, 64);
  CHECK_THAT(usable >= 2 && usable <= 64 && (usable >= cpus || usable == 64));
}

void CheckCpuLimits(const std::string& text, const std::string& other) {
  double cpus = -1;
  CheckCpus(ParseCpuMax(text, &cpus), cpus);
  cpus = -1;
  const bool ok = ParseCpuQuota(text, other, &cpus);
  CheckCpus(ok, cpus);
  const std::string quota = Trimmed(text);
  const std::string period = Trimmed(other);
  if (ok && quota[0] != '-') {
    CHECK_THAT(IsNumber(quota) && IsNumber(period));
    CHECK_THAT(cpus == static_cast<double>(NumberIn(quota)) /
                           static_cast<double>(NumberIn(period)));
  }
}

void CheckCgroupLine(const std::string& line) {
  CgroupMembership m;
  m.path = "untouched";
  const bool ok = ParseCgroupLine(line, &m);
  const std::vector<std::string> parts = Split(line, ':');
  const bool expected = parts.size() >= 3 && IsNumber(parts[0]) &&
                        NumberIn(parts[0]) >= 0 && parts[2].starts_with('/') &&
                        (NumberIn(parts[0]) != 0 || parts[1].empty());
  CHECK_THAT(ok == expected);
  if (!ok) {
    CHECK_THAT(m.path == "untouched");
    return;
  }
  CHECK_THAT(m.version2 == (NumberIn(parts[0]) == 0));
  CHECK_THAT(m.controllers == parts[1]);
  CHECK_THAT(m.path == line.substr(parts[0].size() + parts[1].size() + 2));
  const std::vector<std::string> names = Split(parts[1], ',');
  for (const std::string& name : names) {
    CHECK_THAT(ListContains(m.controllers, name) || name.empty());
  }
  CHECK_THAT(ListContains(m.controllers, "memory") ==
             (std::count(names.begin(), names.end(), "memory") != 0));
}

// Empty when an escape is not of three octal digits, at most 377.
std::string Unescaped(std::string_view path) {
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '\\') {
      out += path[i];
      continue;
    }
    const std::string digits(path.substr(i + 1, 3));
    if (digits.size() != 3 ||
        digits.find_first_not_of("01234567") != std::string::npos ||
        digits > "377") {
      return "";
    }
    out += static_cast<char>(std::stoi(digits, nullptr, 8));
    i += 3;
  }
  return out;
}

void CheckUnescape(std::string_view path) {
  std::string out(path.size() + 1, '#');
  const size_t length = UnescapePath(path, out.data(), out.size());
  CHECK_THAT(length <= path.size() && (length == 0 || out[length] == '#'));
  CHECK_THAT(out.substr(0, length) == Unescaped(path));
  if (length == 0) return;
  // Into just enough room, and too little.
  std::string exact(length, '#');
  CHECK_THAT(UnescapePath(path, exact.data(), length) == length);
  CHECK_THAT(exact == out.substr(0, length));
  CHECK_THAT(UnescapePath(path, exact.data(), length - 1) == 0);
}

void CheckMountInfoLine(const std::string& line) {
  MountInfo mount;
  mount.type = "untouched";
  if (!ParseMountInfoLine(line, &mount)) {
    CHECK_THAT(mount.type == "untouched");
    return;
  }
  const std::vector<std::string> words = Split(line, ' ');
  CHECK_THAT(words.size() >= 7);
  CHECK_THAT(mount.root == words[3] && mount.root.starts_with('/'));
  CHECK_THAT(mount.mount_point == words[4] &&
             mount.mount_point.starts_with('/'));
  const auto separator = std::find(words.begin() + 5, words.end(), "-");
  CHECK_THAT(words.end() - separator >= 2 && mount.type == separator[1]);
  CheckUnescape(mount.root);
  CheckUnescape(mount.mount_point);
}

// ---- All of it, as files.

class Files {
 public:
  Files() {
    CHECK_THAT(mkdtemp(root_) != nullptr);
    for (const char* folder : {"/proc", "/proc/self", "/cg", "/cg/group"}) {
      CHECK_THAT(mkdir((root_ + std::string(folder)).c_str(), 0700) == 0);
    }
  }
  ~Files() {
    for (const std::string& path : written_) std::remove(path.c_str());
    for (const char* folder : {"/cg/group", "/cg", "/proc/self", "/proc", ""}) {
      std::remove((root_ + std::string(folder)).c_str());
    }
  }
  const char* root() const { return root_; }
  void Write(const std::string& name, const std::string& text) {
    const std::string path = root_ + name;
    std::FILE* file = std::fopen(path.c_str(), "wb");
    CHECK_THAT(file != nullptr);
    CHECK_THAT(std::fwrite(text.data(), 1, text.size(), file) == text.size());
    CHECK_THAT(std::fclose(file) == 0);
    if (std::find(written_.begin(), written_.end(), path) == written_.end()) {
      written_.push_back(path);
    }
  }

 private:
  char root_[32] = "/tmp/container_limits.XXXXXX";
  std::vector<std::string> written_;
};

bool Same(const ContainerLimits& a, const ContainerLimits& b) {
  return a.memory == b.memory && a.cpus == b.cpus;
}

void CheckFiles(const std::vector<std::string>& files) {
  static Files f;
  const auto text = [&](size_t i) {
    return i < files.size() ? files[i] : std::string();
  };
  f.Write("/proc/self/cgroup", text(0));
  f.Write("/proc/self/mountinfo", text(1));
  uint64_t least = kNoMemoryLimit;
  for (const char* group : {"/cg", "/cg/group"}) {
    const std::string folder = group;
    f.Write(folder + "/memory.max", text(2));
    f.Write(folder + "/memory.high", text(3));
    f.Write(folder + "/memory.limit_in_bytes", text(2));
    f.Write(folder + "/cpu.max", text(4));
    f.Write(folder + "/cpu.cfs_quota_us", text(4));
    f.Write(folder + "/cpu.cfs_period_us", text(3));
  }
  for (const size_t i : {size_t{2}, size_t{3}}) {
    uint64_t bytes;
    // As much as is read of such a file.
    if (ParseMemoryLimit(text(i).substr(0, 128), &bytes)) {
      least = std::min(least, bytes);
    }
  }
  const ContainerLimits limits = ReadContainerLimits(f.root());
  CHECK_THAT(limits.memory == kNoMemoryLimit || limits.memory >= least);
  CHECK_THAT(limits.cpus > 0);
  // Lines that are too long are as if they were not there.
  const std::string long_line = std::string(9000, 'x') + '\n';
  f.Write("/proc/self/cgroup", long_line + text(0));
  f.Write("/proc/self/mountinfo", long_line + text(1));
  CHECK_THAT(Same(limits, ReadContainerLimits(f.root())));
}

void Check(const std::string& text) {
  const std::vector<std::string> files = Split(text, '\0');
  for (const std::string& file : files) {
    for (const std::string& line : Split(file, '\n')) {
      CheckCgroupLine(line);
      CheckMountInfoLine(line);
      CheckMemoryLimit(line);
      CheckCpuLimits(line, files.back());
    }
  }
  CheckFiles(files);
}

}  // namespace
}  // namespace tricolor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  tricolor::FuzzProgram program("", "");
  program.Note("Check", text);
  tricolor::Check(text);
  return 0;
}
