// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// fork(): both processes can go on using their heaps. docs/runtime.md says what
// the child finds, and what the program must not do.
//
// Go counterpart: none. Thread-safe.

#ifndef TRICOLOR_RUNTIME_FORK_H_
#define TRICOLOR_RUNTIME_FORK_H_

namespace tricolor::runtime {

// Once a process takes effect. Fatal when the system refuses.
void InstallForkHandlers();

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_FORK_H_
