// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Memory for the standard containers of code that runs while the world is
// stopped: straight from the system, by the page. A thread that a signal has
// stopped may hold malloc's locks, so that malloc would wait for it for ever.
//
// Go counterpart: persistentalloc. Thread-safe. Cost: a system call each; put a
// std::pmr::monotonic_buffer_resource before it for small pieces.

#ifndef TRICOLOR_RUNTIME_STOPPED_MEMORY_H_
#define TRICOLOR_RUNTIME_STOPPED_MEMORY_H_

#include <memory_resource>

namespace tricolor::runtime {

// Fatal when the system has no memory.
std::pmr::memory_resource* StoppedMemory();

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_STOPPED_MEMORY_H_
