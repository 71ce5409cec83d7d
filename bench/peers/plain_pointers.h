// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What backends without pointer maps share: plain pointers everywhere.

#ifndef TRICOLOR_BENCH_PEERS_PLAIN_POINTERS_H_
#define TRICOLOR_BENCH_PEERS_PLAIN_POINTERS_H_

#define TRICOLOR_TRACE(...) static_assert(true)

namespace bench {

struct PlainPointers {
  template <typename T>
  using Field = T*;
  template <typename T>
  using Keep = T*;
};

}  // namespace bench

#endif  // TRICOLOR_BENCH_PEERS_PLAIN_POINTERS_H_
