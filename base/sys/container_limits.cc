// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/sys/container_limits.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace tricolor {
namespace {

using std::string_view;

constexpr uint64_t kDefaultPeriod = 100'000;
// What is more is version 1's way to say that there is none.
constexpr uint64_t kMostMemory = uint64_t{1} << 62;

// ---- Words and numbers.

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

string_view TrimEnd(string_view text) {
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// Takes the text up to `separator`, and that too, off the front.
string_view TakeUntil(char separator, string_view* text) {
  const size_t end = std::min(text->find(separator), text->size());
  const string_view word = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return word;
}

bool ParseNumber(string_view text, uint64_t* result) {
  if (text.empty()) return false;
  uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (number > (UINT64_MAX - digit) / 10) return false;
    number = number * 10 + digit;
  }
  *result = number;
  return true;
}

bool CpusOf(uint64_t quota, uint64_t period, double* cpus) {
  if (quota == 0 || period == 0) return false;
  *cpus = static_cast<double>(quota) / static_cast<double>(period);
  return true;
}

bool IsOctal(string_view text) {
  for (const char c : text) {
    if (c < '0' || c > '7') return false;
  }
  return true;
}

// ---- Files.

// A path in a buffer; one that does not fit is no path.
class Path {
 public:
  explicit Path(string_view text) { Append(text); }

  bool ok() const { return ok_; }
  size_t size() const { return size_; }
  string_view text() const { return {bytes_.data(), size_}; }
  const char* c_str() const { return bytes_.data(); }

  void Append(string_view text) {
    if (text.size() >= bytes_.size() - size_) {
      ok_ = false;
      return;
    }
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    Truncate(size_ + text.size());
  }
  // Appends what is escaped in mountinfo.
  void AppendEscaped(string_view text) {
    const size_t length =
        UnescapePath(text, bytes_.data() + size_, bytes_.size() - size_ - 1);
    ok_ = ok_ && length != 0;
    Truncate(size_ + length);
  }
  void Truncate(size_t size) {
    size_ = size;
    bytes_[size] = '\0';
  }

 private:
  std::array<char, 4096> bytes_{};
  size_t size_ = 0;
  bool ok_ = true;
};

class File {
 public:
  explicit File(const Path& path)
      : fd_(path.ok() ? open(path.c_str(), O_RDONLY | O_CLOEXEC) : -1) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // 0 at the end, and when it cannot be read.
  size_t Read(char* to, size_t capacity) {
    if (fd_ < 0) return 0;
    ssize_t length;
    do {
      length = read(fd_, to, capacity);
    } while (length < 0 && errno == EINTR);
    return length < 0 ? 0 : static_cast<size_t>(length);
  }

 private:
  const int fd_;
};

// The lines of a file; those that are longer than the buffer are left out.
class Lines {
 public:
  explicit Lines(const Path& path) : file_(path) {}

  // False at the end. The line is good until the next call.
  bool Next(string_view* line) {
    for (;;) {
      const size_t length = rest().find('\n');
      const bool whole = length != string_view::npos;
      if (!whole && Refill()) continue;
      *line = rest().substr(0, length);
      if (!whole && line->empty()) return false;
      begin_ += std::min(line->size() + 1, rest().size());
      // The end of a line that was too long.
      if (std::exchange(skipping_, false)) continue;
      return true;
    }
  }

 private:
  string_view rest() const { return {buffer_.data() + begin_, end_ - begin_}; }

  // False when there is no more.
  bool Refill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (end_ == buffer_.size()) {
      skipping_ = true;
      end_ = 0;
    }
    const size_t length =
        file_.Read(buffer_.data() + end_, buffer_.size() - end_);
    end_ += length;
    return length != 0;
  }

  File file_;
  std::array<char, 8192> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool skipping_ = false;
};

// The text of a small file in the directory; "" if there is none.
class SmallFile {
 public:
  SmallFile(const Path& directory, string_view name) {
    Path path = directory;
    path.Append(name);
    length_ = File(path).Read(text_.data(), text_.size());
  }
  string_view text() const { return {text_.data(), length_}; }

 private:
  std::array<char, 128> text_;
  size_t length_;
};

// ---- Groups.

void LowerTo(const Path& group, string_view name, ContainerLimits* limits) {
  uint64_t bytes;
  if (ParseMemoryLimit(SmallFile(group, name).text(), &bytes)) {
    limits->memory = std::min(limits->memory, bytes);
  }
}

void LowerMemory(const Path& group, bool version2, ContainerLimits* limits) {
  if (version2) {
    LowerTo(group, "/memory.max", limits);
    LowerTo(group, "/memory.high", limits);
  } else {
    LowerTo(group, "/memory.limit_in_bytes", limits);
  }
}

void LowerCpus(const Path& group, bool version2, ContainerLimits* limits) {
  double cpus;
  const bool limited =
      version2
          ? ParseCpuMax(SmallFile(group, "/cpu.max").text(), &cpus)
          : ParseCpuQuota(SmallFile(group, "/cpu.cfs_quota_us").text(),
                          SmallFile(group, "/cpu.cfs_period_us").text(), &cpus);
  if (limited) limits->cpus = std::min(limits->cpus, cpus);
}

// What is left of `path` within `root`; false if it is not in there.
bool Within(string_view path, string_view root, string_view* rest) {
  if (root == "/") root = "";
  if (!path.starts_with(root)) return false;
  *rest = path.substr(root.size());
  return rest->empty() || rest->front() == '/';
}

// Whether a path leads out of where it starts.
bool LeadsUp(string_view path) {
  while (!path.empty()) {
    if (TakeUntil('/', &path) == "..") return true;
  }
  return false;
}

struct Controller {
  string_view name;
  void (*lower)(const Path& group, bool version2, ContainerLimits* limits);
};
constexpr Controller kControllers[] = {{"memory", LowerMemory},
                                       {"cpu", LowerCpus}};

// Where the process is, for one controller.
struct Group {
  Path path{""};
  bool found = false;
  bool version2 = false;
};

Group FindGroup(string_view root, const Controller& controller) {
  Path file(root);
  file.Append("/proc/self/cgroup");
  Lines lines(file);
  Group group;
  string_view line;
  CgroupMembership membership;
  while (lines.Next(&line)) {
    if (!ParseCgroupLine(line, &membership)) continue;
    // A controller is of version 2 if no hierarchy of version 1 has it.
    const bool version1 = ListContains(membership.controllers, controller.name);
    if (!version1 && !membership.version2) continue;
    group.path = Path(membership.path);
    group.version2 = membership.version2;
    group.found = group.path.ok() && !LeadsUp(membership.path);
    if (version1) break;
  }
  return group;
}

// Appends to `directory` where the group's files are; `top` becomes the length
// of the part that is the mount point.
bool FindDirectory(string_view root, const Controller& controller,
                   const Group& group, Path* directory, size_t* top) {
  Path file(root);
  file.Append("/proc/self/mountinfo");
  Lines lines(file);
  string_view line;
  MountInfo mount;
  while (lines.Next(&line)) {
    if (!ParseMountInfoLine(line, &mount)) continue;
    const bool usable =
        group.version2 ? mount.type == "cgroup2"
                       : mount.type == "cgroup" &&
                             ListContains(mount.super_options, controller.name);
    if (!usable) continue;
    Path mount_root("");
    mount_root.AppendEscaped(mount.root);
    string_view rest;
    if (!mount_root.ok() ||
        !Within(group.path.text(), mount_root.text(), &rest)) {
      continue;
    }
    directory->AppendEscaped(mount.mount_point);
    *top = directory->size();
    if (rest != "/") directory->Append(rest);
    return directory->ok();
  }
  return false;
}

void LowerLimits(string_view root, const Controller& controller,
                 ContainerLimits* limits) {
  const Group group = FindGroup(root, controller);
  Path directory(root);
  size_t top = 0;
  if (!group.found ||
      !FindDirectory(root, controller, group, &directory, &top)) {
    return;
  }
  for (;;) {
    controller.lower(directory, group.version2, limits);
    if (directory.size() <= top) return;
    directory.Truncate(std::max(directory.text().rfind('/'), top));
  }
}

}  // namespace

// ---- Parsers.

bool ParseCgroupLine(string_view line, CgroupMembership* result) {
  uint64_t hierarchy;
  if (!ParseNumber(TakeUntil(':', &line), &hierarchy)) return false;
  if (line.find(':') == string_view::npos) return false;
  const string_view controllers = TakeUntil(':', &line);
  if (line.empty() || line.front() != '/') return false;
  if (hierarchy == 0 && !controllers.empty()) return false;
  *result = {controllers, line, hierarchy == 0};
  return true;
}

bool ListContains(string_view list, string_view name) {
  while (!list.empty()) {
    if (TakeUntil(',', &list) == name) return true;
  }
  return false;
}

// "36 35 98:0 /root /mount/point options [optional]... - type source options"
bool ParseMountInfoLine(string_view line, MountInfo* result) {
  for (int i = 0; i < 3; ++i) TakeUntil(' ', &line);
  MountInfo mount;
  mount.root = TakeUntil(' ', &line);
  mount.mount_point = TakeUntil(' ', &line);
  for (string_view word; word != "-"; word = TakeUntil(' ', &line)) {
    if (line.empty()) return false;
  }
  mount.type = TakeUntil(' ', &line);
  TakeUntil(' ', &line);
  mount.super_options = TrimEnd(line);
  const auto is_path = [](string_view text) { return text.starts_with('/'); };
  if (!is_path(mount.root) || !is_path(mount.mount_point)) return false;
  if (mount.type.empty()) return false;
  *result = mount;
  return true;
}

size_t UnescapePath(string_view path, char* out, size_t capacity) {
  size_t length = 0;
  while (!path.empty()) {
    char c = path.front();
    if (c != '\\') {
      path.remove_prefix(1);
    } else {
      const string_view digits = path.substr(1, 3);
      if (digits.size() != 3 || digits[0] > '3' || !IsOctal(digits)) return 0;
      c = static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 +
                            (digits[2] - '0'));
      path.remove_prefix(4);
    }
    if (length == capacity) return 0;
    out[length++] = c;
  }
  return length;
}

bool ParseMemoryLimit(string_view text, uint64_t* bytes) {
  text = TrimEnd(text);
  uint64_t number;
  if (text == "max") {
    number = kNoMemoryLimit;
  } else if (!ParseNumber(text, &number)) {
    return false;
  }
  *bytes = number > kMostMemory ? kNoMemoryLimit : number;
  return true;
}

bool ParseCpuMax(string_view text, double* cpus) {
  text = TrimEnd(text);
  const string_view quota_text = TakeUntil(' ', &text);
  uint64_t period = kDefaultPeriod;
  if (!text.empty() && !ParseNumber(text, &period)) return false;
  if (quota_text == "max") {
    *cpus = kNoCpuLimit;
    return true;
  }
  uint64_t quota;
  return ParseNumber(quota_text, &quota) && CpusOf(quota, period, cpus);
}

bool ParseCpuQuota(string_view quota, string_view period, double* cpus) {
  quota = TrimEnd(quota);
  uint64_t q;
  if (quota.starts_with('-')) {
    if (!ParseNumber(quota.substr(1), &q)) return false;
    *cpus = kNoCpuLimit;
    return true;
  }
  uint64_t p;
  return ParseNumber(quota, &q) && ParseNumber(TrimEnd(period), &p) &&
         CpusOf(q, p, cpus);
}

// ---- Of the process.

ContainerLimits ReadContainerLimits(string_view root) {
  ContainerLimits limits;
  for (const Controller& controller : kControllers) {
    LowerLimits(root, controller, &limits);
  }
  return limits;
}

int AffinityCpus() {
  // Of 8192 CPUs, as many as Linux can have. The kernel wants room for all that
  // it could have, and glibc's cpu_set_t is for 1024.
  std::array<uint64_t, 128> mask{};
  cpu_set_t* const set = reinterpret_cast<cpu_set_t*>(mask.data());
  if (sched_getaffinity(0, sizeof(mask), set) != 0) return 1;
  int count = 0;
  for (const uint64_t word : mask) count += std::popcount(word);
  return std::max(count, 1);
}

int UsableCpus(const ContainerLimits& limits, int affinity_cpus) {
  const int cpus = std::max(affinity_cpus, 1);
  if (!(limits.cpus < cpus)) return cpus;
  return std::min(std::max(static_cast<int>(std::ceil(limits.cpus)), 2), cpus);
}

}  // namespace tricolor
