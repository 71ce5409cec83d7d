// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// How much memory and how many CPUs a container leaves to the process, by its
// control groups of version 2 or 1 (docs/pacing.md, "Container limits").
//
//   /proc/self/cgroup     which group the process is in, for each controller
//   /proc/self/mountinfo  where the groups' files are mounted
//   memory.max, memory.high, cpu.max     of the group and of all around it
//
// What cannot be read, or is not understood, is no limit. Nothing allocates or
// throws. Go counterpart: internal/runtime/cgroup. The parsers are pure
// functions; ReadContainerLimits opens a few files, for start-up only.

#ifndef TRICOLOR_BASE_SYS_CONTAINER_LIMITS_H_
#define TRICOLOR_BASE_SYS_CONTAINER_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace tricolor {

inline constexpr uint64_t kNoMemoryLimit = UINT64_MAX;
inline constexpr double kNoCpuLimit = std::numeric_limits<double>::infinity();

struct ContainerLimits {
  uint64_t memory = kNoMemoryLimit;  // bytes
  double cpus = kNoCpuLimit;         // CPU time by time, such as 2.5
};

// The least limits from the process's groups up to where they are mounted.
// `root`: of the file system, for tests; a path of at most 1 KiB.
ContainerLimits ReadContainerLimits(std::string_view root = "");

// The CPUs that the calling thread may run on; at least 1.
int AffinityCpus();

// How many threads are worth running: `affinity_cpus`, or the limit rounded up,
// at least 2, if that is less. (With a limit of less than 2, a second thread
// still uses what the first leaves of each period.)
int UsableCpus(const ContainerLimits& limits, int affinity_cpus);

// ---- Parsers. False, and nothing is written, for what is malformed.

// A line of /proc/self/cgroup: "hierarchy:controllers:path".
struct CgroupMembership {
  std::string_view controllers;  // "" for version 2
  std::string_view path;
  bool version2 = false;
};
bool ParseCgroupLine(std::string_view line, CgroupMembership* result);
// Whether a comma-separated list has the name.
bool ListContains(std::string_view list, std::string_view name);

// A line of /proc/self/mountinfo; the paths are still escaped.
struct MountInfo {
  std::string_view root;  // within the mounted file system
  std::string_view mount_point;
  std::string_view type;
  std::string_view super_options;
};
bool ParseMountInfoLine(std::string_view line, MountInfo* result);
// Writes the path without its escapes (\040 for a space), and returns its
// length; 0 when it is malformed or longer than `capacity`.
size_t UnescapePath(std::string_view path, char* out, size_t capacity);

// "max" or a number of bytes; memory.limit_in_bytes of version 1, too, where
// a number beyond 2^62 stands for none. White space may follow.
bool ParseMemoryLimit(std::string_view text, uint64_t* bytes);
// cpu.max: "max" or a quota in microseconds, and perhaps the period, which is
// 100000 if there is none.
bool ParseCpuMax(std::string_view text, double* cpus);
// cpu.cfs_quota_us (negative: none) and cpu.cfs_period_us of version 1.
bool ParseCpuQuota(std::string_view quota, std::string_view period,
                   double* cpus);

}  // namespace tricolor

#endif  // TRICOLOR_BASE_SYS_CONTAINER_LIMITS_H_
