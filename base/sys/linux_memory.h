// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// OsMemory on Linux: anonymous private mappings.
//   Reserve  mmap PROT_NONE, MAP_NORESERVE, over-reserved and trimmed
//   Map      mprotect read-write        Used    nothing
//   Unused   madvise MADV_DONTNEED      Free    munmap
// Mappings are named, so that /proc/<pid>/maps shows them as [anon:tricolor]
// where the kernel can (CONFIG_ANON_VMA_NAME).
//
// Go counterpart: mem_linux.go. Thread-safe; the object holds only constants.

#ifndef TRICOLOR_BASE_SYS_LINUX_MEMORY_H_
#define TRICOLOR_BASE_SYS_LINUX_MEMORY_H_

#include "tricolor/base/atomic.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/base/units.h"

namespace tricolor {

class LinuxMemory final : public OsMemory {
 public:
  LinuxMemory();

  ByteCount page_size() const override { return page_size_; }
  ByteCount huge_page_size() const override { return huge_page_size_; }
  // MADV_DONTNEED drops the pages at once; the next touch finds zeros.
  bool unused_memory_is_zero() const override { return true; }

  Addr Reserve(ByteCount size, ByteCount alignment) override;
  bool Map(AddrRange range) override;
  // Pages come on the first touch. Advice about huge pages is left as it is.
  bool Used(AddrRange range) override;
  bool Unused(AddrRange range) override;
  void HugePage(AddrRange range) override;
  void NoHugePage(AddrRange range) override;
  void Free(AddrRange range) override;

 private:
  void CheckRange(AddrRange range) const;
  void Name(AddrRange range);

  const ByteCount page_size_;
  const ByteCount huge_page_size_;
  // Cleared when the kernel does not know how to name a mapping.
  Atomic<bool> can_name_{true};
};

// The one that a process normally uses; it is never destroyed.
LinuxMemory& ProcessMemory();

}  // namespace tricolor

#endif  // TRICOLOR_BASE_SYS_LINUX_MEMORY_H_
