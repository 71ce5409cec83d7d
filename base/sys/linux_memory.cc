// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/base/sys/linux_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>

#include "tricolor/base/bits.h"
#include "tricolor/base/check.h"

// Since Linux 5.17; older headers lack them.
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_SET_VMA_ANON_NAME
#define PR_SET_VMA_ANON_NAME 0
#endif

namespace tricolor {
namespace {

unsigned long long Print(ByteCount n) { return n.value(); }

ByteCount ReadPageSize() {
  return ByteCount(static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
}

// The size of a transparent huge page, from sysfs; zero when there are none.
ByteCount ReadHugePageSize() {
  const int file = open("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
                        O_RDONLY | O_CLOEXEC);
  if (file < 0) return ByteCount(0);
  char text[24];
  const ssize_t length = read(file, text, sizeof(text));
  close(file);
  uint64_t size = 0;
  for (ssize_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; ++i) {
    size = size * 10 + static_cast<uint64_t>(text[i] - '0');
  }
  return ByteCount(IsPowerOfTwo(size) ? size : 0);
}

// munmap of part of a mapping splits it, which the kernel refuses when the
// process has too many mappings.
void Unmap(AddrRange range) {
  if (range.empty()) return;
  const int result = munmap(range.base.pointer(), range.size().value());
  TRICOLOR_CHECK(result == 0, "munmap of %p, %llu bytes: %s",
                 range.base.pointer(), Print(range.size()),
                 strerrordesc_np(errno));
}

}  // namespace

LinuxMemory::LinuxMemory()
    : page_size_(ReadPageSize()), huge_page_size_(ReadHugePageSize()) {}

void LinuxMemory::CheckRange(AddrRange range) const {
  TRICOLOR_DCHECK(
      range.base < range.limit && range.base.IsAligned(page_size_.value()) &&
          range.limit.IsAligned(page_size_.value()),
      "OS memory range %p..%p is empty or not of whole pages of "
      "%llu bytes",
      range.base.pointer(), range.limit.pointer(), Print(page_size_));
}

void LinuxMemory::Name(AddrRange range) {
  if (!can_name_.LoadRelaxed()) return;
  if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, range.base.value(),
            range.size().value(), "tricolor") != 0) {
    can_name_.StoreRelaxed(false);
  }
}

Addr LinuxMemory::Reserve(ByteCount size, ByteCount alignment) {
  TRICOLOR_DCHECK(size > ByteCount(0) &&
                      IsAligned(size.value(), page_size_.value()) &&
                      IsPowerOfTwo(alignment.value()),
                  "reservation of %llu bytes aligned to %llu is empty, not of "
                  "whole pages, or aligned to no power of two",
                  Print(size), Print(alignment));
  const ByteCount slack =
      alignment > page_size_ ? alignment - page_size_ : ByteCount(0);
  if (size + slack < size) return Addr();
  void* memory = mmap(nullptr, (size + slack).value(), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return Addr();
  const Addr start(memory);
  const Addr base = start.AlignUp(alignment.value());
  Unmap({start, base});
  Unmap({base + size, start + size + slack});
  Name({base, base + size});
  return base;
}

bool LinuxMemory::Map(AddrRange range) {
  CheckRange(range);
  return mprotect(range.base.pointer(), range.size().value(),
                  PROT_READ | PROT_WRITE) == 0;
}

bool LinuxMemory::Used(AddrRange range) {
  CheckRange(range);
  return true;
}

bool LinuxMemory::Unused(AddrRange range) {
  CheckRange(range);
  return madvise(range.base.pointer(), range.size().value(), MADV_DONTNEED) ==
         0;
}

void LinuxMemory::HugePage(AddrRange range) {
  CheckRange(range);
  if (huge_page_size_ == ByteCount(0)) return;
  madvise(range.base.pointer(), range.size().value(), MADV_HUGEPAGE);
}

void LinuxMemory::NoHugePage(AddrRange range) {
  CheckRange(range);
  if (huge_page_size_ == ByteCount(0)) return;
  madvise(range.base.pointer(), range.size().value(), MADV_NOHUGEPAGE);
}

void LinuxMemory::Free(AddrRange range) {
  CheckRange(range);
  Unmap(range);
}

LinuxMemory& ProcessMemory() {
  alignas(LinuxMemory) static unsigned char storage[sizeof(LinuxMemory)];
  static LinuxMemory* const memory = ::new (storage) LinuxMemory();
  return *memory;
}

}  // namespace tricolor
