// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What AddressSanitizer is told about free slots. Without it all of this
// compiles to nothing. Thread-safe for ranges that are the caller's own.

#ifndef TRICOLOR_MHEAP_ASAN_H_
#define TRICOLOR_MHEAP_ASAN_H_

#include "absl/base/config.h"
#include "tricolor/base/units.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace tricolor::mheap {

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
inline constexpr bool kAsan = true;
inline void AsanPoison(Addr base, ByteCount size) {
  ASAN_POISON_MEMORY_REGION(base.pointer(), size.value());
}
inline void AsanUnpoison(Addr base, ByteCount size) {
  ASAN_UNPOISON_MEMORY_REGION(base.pointer(), size.value());
}
inline bool AsanIsPoisoned(Addr a) {
  return __asan_address_is_poisoned(a.pointer()) != 0;
}
#else
inline constexpr bool kAsan = false;
inline void AsanPoison(Addr, ByteCount) {}
inline void AsanUnpoison(Addr, ByteCount) {}
inline bool AsanIsPoisoned(Addr) { return false; }
#endif

}  // namespace tricolor::mheap

#endif  // TRICOLOR_MHEAP_ASAN_H_
