// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Tricolor's page allocator by itself: it divides the memory of an imaginary
// device, which this process cannot even address, among buffers that come and
// go. This is possible because PageAlloc never touches the pages it hands out.
//
//   device_memory [MiB of device memory] [steps] [seed]
//
// A second record of who owns which page checks every answer. Exits with 1
// when a page is handed out twice.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <vector>

#include "tricolor/base/os_memory.h"
#include "tricolor/base/sys/linux_memory.h"
#include "tricolor/base/units.h"
#include "tricolor/pagealloc/page_alloc.h"

namespace {

using tricolor::Addr;
using tricolor::AddrRange;
using tricolor::ByteCount;
using tricolor::BytesOf;
using tricolor::PageCount;
using tricolor::PagesIn;
using tricolor::pagealloc::PageAlloc;
using tricolor::pagealloc::PageRun;

constexpr Addr kDeviceBase{uint64_t{1} << 46};

// The machine's memory for the allocator's tables, and a device that takes
// back what the allocator says is unused.
class DeviceMemory final : public tricolor::OsMemory {
 public:
  explicit DeviceMemory(AddrRange device) : device_(device) {}

  ByteCount page_size() const override { return host_.page_size(); }
  ByteCount huge_page_size() const override { return ByteCount(0); }
  bool unused_memory_is_zero() const override { return true; }
  Addr Reserve(ByteCount size, ByteCount alignment) override {
    return host_.Reserve(size, alignment);
  }
  bool Map(AddrRange range) override {
    return OnDevice(range) || host_.Map(range);
  }
  bool Used(AddrRange range) override {
    return OnDevice(range) || host_.Used(range);
  }
  bool Unused(AddrRange range) override {
    if (!OnDevice(range)) return host_.Unused(range);
    taken_back_ += range.size();
    return true;
  }
  void HugePage(AddrRange range) override {
    if (!OnDevice(range)) host_.HugePage(range);
  }
  void NoHugePage(AddrRange range) override {
    if (!OnDevice(range)) host_.NoHugePage(range);
  }
  void Free(AddrRange range) override {
    if (!OnDevice(range)) host_.Free(range);
  }

  ByteCount taken_back() const { return taken_back_; }

 private:
  bool OnDevice(AddrRange range) const { return device_.Contains(range.base); }

  tricolor::OsMemory& host_ = tricolor::ProcessMemory();
  const AddrRange device_;
  ByteCount taken_back_;
};

struct Buffer {
  Addr base;
  PageCount pages;
};

class Simulation {
 public:
  Simulation(PageAlloc& pages, uint64_t seed)
      : pages_(pages),
        random_(seed),
        owned_(PagesIn(pages.window().size()).value()) {}

  // Buffers come with probability `percent` and go otherwise. False when a
  // page was handed out twice.
  bool Run(uint64_t steps, uint64_t percent) {
    for (uint64_t i = 0; i < steps; ++i) {
      if (Below(100) < percent || live_.empty()) {
        if (!Come()) return false;
      } else {
        Go(Below(live_.size()));
      }
    }
    pages_.CheckInvariants();
    return true;
  }

  void GoAll() {
    while (!live_.empty()) Go(live_.size() - 1);
  }

  void Report(const char* phase) const {
    std::printf("%-8s %9zu %8llu %8llu %9llu %9llu\n", phase, live_.size(),
                MiB(pages_.total_pages() - pages_.free_pages()),
                MiB(pages_.free_pages()), MiB(pages_.scavenged_pages()),
                static_cast<unsigned long long>(refused_));
  }

 private:
  static unsigned long long MiB(PageCount n) {
    return BytesOf(n).value() >> 20;
  }

  uint64_t Below(uint64_t n) { return random_() % n; }

  bool Come() {
    // Most buffers are small and a few are large.
    const PageCount size(1 + Below(uint64_t{1} << Below(11)));
    const PageRun run = pages_.Alloc(size);
    if (run.base.is_null()) {
      ++refused_;
      return true;
    }
    live_.push_back({run.base, size});
    return Own(live_.back(), true);
  }

  void Go(uint64_t index) {
    const Buffer buffer = live_[index];
    live_[index] = live_.back();
    live_.pop_back();
    Own(buffer, false);
    pages_.Free(buffer.base, buffer.pages);
  }

  bool Own(Buffer buffer, bool owned) {
    const uint64_t first = PagesIn(buffer.base - pages_.window().base).value();
    for (uint64_t page = first; page < first + buffer.pages.value(); ++page) {
      if (owned_.at(page) == owned) {
        std::fprintf(stderr, "device_memory: page %llu has two owners\n",
                     static_cast<unsigned long long>(page));
        return false;
      }
      owned_[page] = owned;
    }
    return true;
  }

  PageAlloc& pages_;
  std::mt19937_64 random_;
  std::vector<Buffer> live_;
  std::vector<bool> owned_;  // by page of the device
  uint64_t refused_ = 0;
};

std::optional<uint64_t> Number(const char* text) {
  char* end = nullptr;
  const uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0') return std::nullopt;
  return value;
}

int Simulate(uint64_t mebibytes, uint64_t steps, uint64_t seed) {
  const ByteCount size(mebibytes << 20);
  const AddrRange device{kDeviceBase, kDeviceBase + size};
  DeviceMemory memory(device);
  PageAlloc pages(memory, device);
  if (!pages.Init() || !pages.Grow(device.base, size)) {
    std::fprintf(stderr, "device_memory: no memory for the tables\n");
    return 1;
  }
  std::printf("%llu MiB of device memory, %llu steps a phase, seed %llu\n\n",
              static_cast<unsigned long long>(mebibytes),
              static_cast<unsigned long long>(steps),
              static_cast<unsigned long long>(seed));
  std::printf("phase      buffers used MiB free MiB scavenged   refused\n");
  Simulation simulation(pages, seed);
  if (!simulation.Run(steps, 65)) return 1;
  simulation.Report("fill");
  if (!simulation.Run(steps, 50)) return 1;
  simulation.Report("churn");
  if (!simulation.Run(steps, 43)) return 1;
  simulation.Report("drain");
  pages.Scavenge(size);
  simulation.Report("scavenge");
  simulation.GoAll();
  simulation.Report("end");
  std::printf(
      "\nThe device took %llu MiB back; the tables took %llu KiB.\n",
      static_cast<unsigned long long>(memory.taken_back().value() >> 20),
      static_cast<unsigned long long>(pages.table_bytes().value() >> 10));
  if (pages.free_pages() != pages.total_pages()) {
    std::fprintf(stderr, "device_memory: pages are missing at the end\n");
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t numbers[] = {4096, 20'000, 1};  // MiB, steps, seed
  for (int i = 1; i < argc; ++i) {
    const std::optional<uint64_t> number = Number(argv[i]);
    if (i > 3 || !number) {
      std::fprintf(stderr, "usage: device_memory [MiB] [steps] [seed]\n");
      return 2;
    }
    numbers[i - 1] = *number;
  }
  // Whole chunks of the allocator, and no more than its tree has room for.
  if (numbers[0] % 4 != 0 || numbers[0] == 0 || numbers[0] > 1 << 20) {
    std::fprintf(stderr, "device_memory: MiB is a multiple of 4 up to 2^20\n");
    return 2;
  }
  return Simulate(numbers[0], numbers[1], numbers[2]);
}
