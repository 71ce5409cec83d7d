// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/sys/container_limits.h"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"

namespace tricolor {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// ---- Parsers.

TEST(ParseCgroupLineTest, TakesBothVersions) {
  CgroupMembership m;
  ASSERT_TRUE(ParseCgroupLine("0::/user.slice/a b:c", &m));
  EXPECT_TRUE(m.version2);
  EXPECT_EQ(m.controllers, "");
  EXPECT_EQ(m.path, "/user.slice/a b:c");
  ASSERT_TRUE(ParseCgroupLine("7:cpu,cpuacct:/docker/1", &m));
  EXPECT_FALSE(m.version2);
  EXPECT_EQ(m.controllers, "cpu,cpuacct");
  EXPECT_EQ(m.path, "/docker/1");
}

TEST(ParseCgroupLineTest, RefusesWhatIsMalformed) {
  CgroupMembership m{.path = "unchanged"};
  for (const std::string_view line :
       {"", ":", "::", "0", "0:", "0::", "0::relative", ":cpu:/", "x:cpu:/",
        "-1:cpu:/", "0:cpu:/", "3:cpu", "3:/only", "99999999999999999999::/"}) {
    EXPECT_FALSE(ParseCgroupLine(line, &m)) << line;
  }
  EXPECT_EQ(m.path, "unchanged");
}

TEST(ListContainsTest, ComparesWholeNames) {
  EXPECT_TRUE(ListContains("rw,cpu,cpuacct", "cpu"));
  EXPECT_TRUE(ListContains("cpu", "cpu"));
  EXPECT_TRUE(ListContains("a,,cpu", "cpu"));
  EXPECT_FALSE(ListContains("rw,cpuset,cpuacct", "cpu"));
  EXPECT_FALSE(ListContains("", "cpu"));
}

TEST(ParseMountInfoLineTest, FindsTheFieldsWithAnyNumberOfOptionalOnes) {
  MountInfo m;
  ASSERT_TRUE(ParseMountInfoLine(
      "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:2 - cgroup2 "
      "cgroup2 rw,nsdelegate",
      &m));
  EXPECT_EQ(m.root, "/");
  EXPECT_EQ(m.mount_point, "/sys/fs/cgroup");
  EXPECT_EQ(m.type, "cgroup2");
  EXPECT_EQ(m.super_options, "rw,nsdelegate");
  ASSERT_TRUE(ParseMountInfoLine(
      "35 31 0:32 /docker/1 /sys/fs/cgroup/memory ro - cgroup cg rw,memory\n",
      &m));
  EXPECT_EQ(m.root, "/docker/1");
  EXPECT_EQ(m.type, "cgroup");
  EXPECT_EQ(m.super_options, "rw,memory");
}

TEST(ParseMountInfoLineTest, RefusesWhatIsMalformed) {
  MountInfo m{.root = "unchanged"};
  for (const std::string_view line :
       {"", " ", "30 23 0:26 / /mnt rw", "30 23 0:26 / /mnt rw -",
        "30 23 0:26 root /mnt rw - cgroup2 c rw",
        "30 23 0:26 / mnt rw - cgroup2 c rw", "- - - - - - -"}) {
    EXPECT_FALSE(ParseMountInfoLine(line, &m)) << line;
  }
  EXPECT_EQ(m.root, "unchanged");
}

std::string Unescape(std::string_view path, size_t capacity = 100) {
  std::string out(capacity, '?');
  out.resize(UnescapePath(path, out.data(), capacity));
  return out;
}

TEST(UnescapePathTest, ReplacesOctalEscapes) {
  EXPECT_EQ(Unescape("/a"), "/a");
  EXPECT_EQ(Unescape("/a\\040b\\134"), "/a b\\");
  EXPECT_EQ(Unescape("\\377"), "\xff");
}

TEST(UnescapePathTest, RefusesWhatIsMalformedOrTooLong) {
  EXPECT_EQ(Unescape("/a\\"), "");
  EXPECT_EQ(Unescape("/a\\04"), "");
  EXPECT_EQ(Unescape("/a\\048"), "");
  EXPECT_EQ(Unescape("/a\\400"), "");
  EXPECT_EQ(Unescape("/abc", 4), "/abc");
  EXPECT_EQ(Unescape("/abcd", 4), "");
}

TEST(ParseMemoryLimitTest, TakesNumbersAndMax) {
  uint64_t bytes = 0;
  EXPECT_TRUE(ParseMemoryLimit("1048576\n", &bytes));
  EXPECT_EQ(bytes, kMiB);
  EXPECT_TRUE(ParseMemoryLimit("0", &bytes));
  EXPECT_EQ(bytes, 0U);
  EXPECT_TRUE(ParseMemoryLimit("max\n", &bytes));
  EXPECT_EQ(bytes, kNoMemoryLimit);
  // Version 1 without a limit.
  EXPECT_TRUE(ParseMemoryLimit("9223372036854771712\n", &bytes));
  EXPECT_EQ(bytes, kNoMemoryLimit);
  EXPECT_TRUE(ParseMemoryLimit("18446744073709551615", &bytes));
  EXPECT_EQ(bytes, kNoMemoryLimit);
}

TEST(ParseMemoryLimitTest, RefusesWhatIsMalformed) {
  uint64_t bytes = 7;
  for (const std::string_view text :
       {"", "\n", "maximum", "Max", "-1", "+1", "1k", "1 2", " 1", "0x10",
        "18446744073709551616", "99999999999999999999999"}) {
    EXPECT_FALSE(ParseMemoryLimit(text, &bytes)) << text;
  }
  EXPECT_EQ(bytes, 7U);
}

TEST(ParseCpuMaxTest, DividesTheQuotaByThePeriod) {
  double cpus = 0;
  EXPECT_TRUE(ParseCpuMax("250000 100000\n", &cpus));
  EXPECT_DOUBLE_EQ(cpus, 2.5);
  EXPECT_TRUE(ParseCpuMax("50000", &cpus));
  EXPECT_DOUBLE_EQ(cpus, 0.5);
  EXPECT_TRUE(ParseCpuMax("max 100000\n", &cpus));
  EXPECT_EQ(cpus, kNoCpuLimit);
}

TEST(ParseCpuMaxTest, RefusesWhatIsMalformed) {
  double cpus = 7;
  for (const std::string_view text :
       {"", "\n", "max x", "x 100000", "100000 0", "0 100000", "-1 100000",
        "1 2 3", "1  2", "99999999999999999999 1"}) {
    EXPECT_FALSE(ParseCpuMax(text, &cpus)) << text;
  }
  EXPECT_EQ(cpus, 7);
}

TEST(ParseCpuQuotaTest, ANegativeQuotaIsNone) {
  double cpus = 7;
  EXPECT_TRUE(ParseCpuQuota("-1\n", "100000\n", &cpus));
  EXPECT_EQ(cpus, kNoCpuLimit);
  EXPECT_TRUE(ParseCpuQuota("150000\n", "100000\n", &cpus));
  EXPECT_DOUBLE_EQ(cpus, 1.5);
  for (const std::string_view quota : {"", "-", "-x", "x", "0", "1 2"}) {
    EXPECT_FALSE(ParseCpuQuota(quota, "100000", &cpus)) << quota;
  }
  for (const std::string_view period : {"", "-1", "x", "0"}) {
    EXPECT_FALSE(ParseCpuQuota("5", period, &cpus)) << period;
  }
  EXPECT_DOUBLE_EQ(cpus, 1.5);
}

TEST(ContainerParsersTest, TakeAnyText) {
  TestRandom random(TestSeed());
  constexpr std::string_view kAlphabet = "0:/,- \\max19\n\t\xff";
  for (int i = 0; i < 20000; ++i) {
    std::string text(random.Below(40), ' ');
    for (char& c : text) c = kAlphabet[random.Below(kAlphabet.size())];
    CgroupMembership membership;
    ParseCgroupLine(text, &membership);
    MountInfo mount;
    ParseMountInfoLine(text, &mount);
    Unescape(text, random.Below(40));
    uint64_t bytes = 0;
    if (ParseMemoryLimit(text, &bytes)) {
      EXPECT_TRUE(bytes <= uint64_t{1} << 62 || bytes == kNoMemoryLimit);
    }
    double cpus = 1;
    if (ParseCpuMax(text, &cpus)) EXPECT_GT(cpus, 0) << text;
    if (ParseCpuQuota(text, "100000", &cpus)) EXPECT_GT(cpus, 0) << text;
  }
}

// ---- A tree of files.

class ContainerLimitsTest : public testing::Test {
 protected:
  ContainerLimitsTest()
      : root_(testing::TempDir() + "/container_" +
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(root_);
  }
  ~ContainerLimitsTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  // A process in the group `path` of version 2.
  void WriteVersion2(const std::string& path, const std::string& mount_root) {
    Write("/proc/self/cgroup", "0::" + path + "\n");
    Write("/proc/self/mountinfo",
          "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
          "30 22 0:26 " +
              mount_root +
              " /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
  }
  ContainerLimits Read() const { return ReadContainerLimits(root_); }

  const std::string root_;
};

TEST_F(ContainerLimitsTest, NothingToReadIsNoLimit) {
  EXPECT_EQ(Read().memory, kNoMemoryLimit);
  EXPECT_EQ(Read().cpus, kNoCpuLimit);
  Write("/proc/self/cgroup", "0::/a\n");
  EXPECT_EQ(Read().memory, kNoMemoryLimit);
  Write("/proc/self/mountinfo", "");
  EXPECT_EQ(Read().memory, kNoMemoryLimit);
  WriteVersion2("/a", "/");
  EXPECT_EQ(Read().memory, kNoMemoryLimit);
  EXPECT_EQ(Read().cpus, kNoCpuLimit);
}

TEST_F(ContainerLimitsTest, TakesTheLeastOfTheHierarchy) {
  WriteVersion2("/a/b/c", "/");
  Write("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
  Write("/sys/fs/cgroup/a/b/c/memory.high", "300000000\n");
  Write("/sys/fs/cgroup/a/b/memory.max", "200000000\n");
  Write("/sys/fs/cgroup/a/memory.max", "400000000\n");
  Write("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
  Write("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
  Write("/sys/fs/cgroup/a/cpu.max", "150000 50000\n");
  EXPECT_EQ(Read().memory, 200000000U);
  EXPECT_DOUBLE_EQ(Read().cpus, 3);
  Write("/sys/fs/cgroup/a/memory.high", "100000000\n");
  EXPECT_EQ(Read().memory, 100000000U);
}

TEST_F(ContainerLimitsTest, LooksAtTheMountPointAndNotBeyond) {
  WriteVersion2("/a", "/");
  Write("/sys/fs/cgroup/memory.max", "500\n");
  Write("/sys/fs/memory.max", "100\n");
  Write("/memory.max", "50\n");
  EXPECT_EQ(Read().memory, 500U);
}

TEST_F(ContainerLimitsTest, AContainerSeesItsOwnGroupAtTheMountPoint) {
  WriteVersion2("/docker/1", "/docker/1");
  Write("/sys/fs/cgroup/memory.max", "500\n");
  EXPECT_EQ(Read().memory, 500U);
  WriteVersion2("/docker/1/child", "/docker/1");
  Write("/sys/fs/cgroup/child/memory.max", "400\n");
  EXPECT_EQ(Read().memory, 400U);
  // In a namespace of its own.
  WriteVersion2("/", "/");
  EXPECT_EQ(Read().memory, 500U);
}

TEST_F(ContainerLimitsTest, AGroupThatIsNotUnderTheMountHasNoLimit) {
  WriteVersion2("/docker/10", "/docker/1");
  Write("/sys/fs/cgroup/memory.max", "500\n");
  Write("/sys/fs/cgroup/0/memory.max", "500\n");
  EXPECT_EQ(Read().memory, kNoMemoryLimit);
  WriteVersion2("/../other", "/");
  EXPECT_EQ(Read().memory, kNoMemoryLimit);
}

TEST_F(ContainerLimitsTest, MalformedFilesAreNoLimitAndHideNoOther) {
  WriteVersion2("/a/b", "/");
  Write("/sys/fs/cgroup/a/b/memory.max", "many\n");
  Write("/sys/fs/cgroup/a/b/cpu.max", "0 0\n");
  Write("/sys/fs/cgroup/a/memory.max", "600\n");
  Write("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  EXPECT_EQ(Read().memory, 600U);
  EXPECT_DOUBLE_EQ(Read().cpus, 2);
}

TEST_F(ContainerLimitsTest, EscapedMountPointsAreFound) {
  Write("/proc/self/cgroup", "0::/my group\n");
  Write("/proc/self/mountinfo",
        "30 22 0:26 / /my\\040mount rw - cgroup2 cgroup2 rw\n");
  Write("/my mount/my group/memory.max", "700\n");
  EXPECT_EQ(Read().memory, 700U);
}

TEST_F(ContainerLimitsTest, LongLinesAndLongFilesArePassedOver) {
  std::string mounts;
  for (int i = 0; i < 300; ++i) {
    mounts += std::to_string(i) + " 1 0:1 / /mnt/" + std::to_string(i) +
              " rw - tmpfs tmpfs rw\n";
  }
  mounts += "9 1 0:1 / /overlay rw - overlay overlay rw,lowerdir=" +
            std::string(20000, 'x') + "\n";
  const std::string line = "30 22 0:26 / /cg rw - cgroup2 cgroup2 rw";
  Write("/proc/self/cgroup", "0::/a");
  Write("/cg/a/memory.max", "800");
  Write("/proc/self/mountinfo", mounts + line + "\n" + mounts);
  EXPECT_EQ(Read().memory, 800U);
  Write("/proc/self/mountinfo", mounts + line);
  EXPECT_EQ(Read().memory, 800U);
  // The end of a line that is too long for the buffer is no line.
  Write("/proc/self/mountinfo", std::string(8192, 'x') + line + "\n");
  EXPECT_EQ(Read().memory, kNoMemoryLimit);
  Write("/proc/self/mountinfo", line + std::string(9000, 'x') + "\n");
  EXPECT_EQ(Read().memory, kNoMemoryLimit);
  Write("/proc/self/cgroup", "0::/" + std::string(5000, 'a') + "\n");
  Write("/proc/self/mountinfo", line);
  EXPECT_EQ(Read().memory, kNoMemoryLimit);
}

TEST_F(ContainerLimitsTest, Version1HasAHierarchyForEachController) {
  Write("/proc/self/cgroup",
        "4:memory:/pod/1\n3:cpuset:/x\n1:cpu,cpuacct:/pod/2\n0::/\n");
  Write("/proc/self/mountinfo",
        "34 31 0:31 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n"
        "32 31 0:29 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n");
  Write("/cg/memory/pod/1/memory.limit_in_bytes", "9223372036854771712\n");
  Write("/cg/memory/pod/memory.limit_in_bytes", "123456789\n");
  Write("/cg/cpu/pod/2/cpu.cfs_quota_us", "450000\n");
  Write("/cg/cpu/pod/2/cpu.cfs_period_us", "100000\n");
  Write("/cg/cpu/pod/cpu.cfs_quota_us", "-1\n");
  Write("/cg/cpu/pod/cpu.cfs_period_us", "100000\n");
  Write("/cg/unified/memory.max", "1\n");
  EXPECT_EQ(Read().memory, 123456789U);
  EXPECT_DOUBLE_EQ(Read().cpus, 4.5);
}

TEST(ContainerLimitsOfThisProcessTest, CanBeRead) {
  const ContainerLimits limits = ReadContainerLimits();
  EXPECT_GT(limits.cpus, 0);
  EXPECT_GT(limits.memory, kMiB);
  EXPECT_GE(AffinityCpus(), 1);
}

// ---- CPUs.

TEST(UsableCpusTest, AreTheAffinityOrTheLimitRoundedUp) {
  EXPECT_EQ(UsableCpus({}, 8), 8);
  EXPECT_EQ(UsableCpus({.cpus = 2.5}, 8), 3);
  EXPECT_EQ(UsableCpus({.cpus = 3}, 8), 3);
  EXPECT_EQ(UsableCpus({.cpus = 100}, 8), 8);
  EXPECT_EQ(UsableCpus({.cpus = 7.5}, 8), 8);
}

TEST(UsableCpusTest, AreAtLeastTwoWhereThereAreTwo) {
  EXPECT_EQ(UsableCpus({.cpus = 0.5}, 8), 2);
  EXPECT_EQ(UsableCpus({.cpus = 1}, 8), 2);
  EXPECT_EQ(UsableCpus({.cpus = 0.5}, 1), 1);
  EXPECT_EQ(UsableCpus({}, 0), 1);
  EXPECT_EQ(UsableCpus({.cpus = std::nan("")}, 4), 4);
}

}  // namespace
}  // namespace tricolor
