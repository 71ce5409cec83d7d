// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// The stack of a thread as a set of roots. A thread that leaves managed code
// records its registers and stack pointer (StackSnapshot); from then on the
// collector may scan its stack, conservatively, from there to the base.
//
// A thread parked at a safepoint does not run. One in a NativeScope does, and
// may write the frames of the function that holds the scope: the top of the
// stack is therefore copied at entry, where the compiler may keep a pointer in
// a slot that it reuses during the scope. Frames of callers are left alone
// until the scope ends. The collector's reads of a running thread's frames are
// deliberately unsynchronized; the words that matter do not change.
//
// AddressSanitizer keeps locals in fake frames on its own heap; those that the
// stack points to are scanned too.
//
// Go counterpart: scanstack in mgcmark.go, with conservative frames.

#ifndef TRICOLOR_RUNTIME_STACK_SCAN_H_
#define TRICOLOR_RUNTIME_STACK_SCAN_H_

#include <cstddef>
#include <cstdint>

#include "tricolor/base/units.h"
#include "tricolor/gc/grey_buffer.h"

namespace tricolor::runtime {

// The part of memory that a thread may use as its stack. Grows down.
struct StackBounds {
  uintptr_t low = 0;
  uintptr_t high = 0;

  // Of the calling thread; asked of the system once a thread, by a call that
  // may use malloc and, on the main thread, reads a file.
  static StackBounds OfThisThread();
};

struct StackSnapshot {
  // x86-64: rbx rbp r12 r13 r14 r15; AArch64: x19-x29, d8-d15.
#if defined(__x86_64__)
  static constexpr size_t kRegisters = 6;
#elif defined(__aarch64__)
  static constexpr size_t kRegisters = 19;
#else
#error "Tricolor knows the registers of x86-64 and AArch64 only"
#endif
  static constexpr size_t kTopWords = 64;

  // Written by the assembly, in this order.
  uint64_t registers[kRegisters];
  uintptr_t stack_pointer;

  // The words from stack_pointer up, at most to the stack's base.
  uint64_t top[kTopWords];
  size_t top_words;
  // ASan's; null without.
  void* fake_stack;
  StackBounds bounds;
  // Of a thread that a signal has interrupted at any instruction: its registers
  // are in the signal's frame, on its stack or on an alternate one (else
  // empty).
  bool interrupted = false;
  AddrRange alternate;

  // In a signal handler, whose frames have everything else.
  void SetInterrupted(uintptr_t pointer, AddrRange other);
  // Completes a snapshot whose registers have been stored, on its own thread.
  void Finish();
};

// Is given words that may be pointers.
class WordSink {
 public:
  virtual void Take(const uint64_t* words, size_t count) = 0;

 protected:
  ~WordSink() = default;
};

// Gives each aligned word of a snapshot's registers and stack. Its thread is
// the caller, or does not return from the frames in it meanwhile.
void ReadStack(const StackSnapshot& snapshot, WordSink& sink);

// Gives each aligned word of memory that others may be writing (a global range
// beside threads in native code), and that ASan may have poisoned in parts.
void ReadUnsynchronized(AddrRange range, WordSink& sink);

// For the markers; return the number of words.
size_t ShadeStack(const StackSnapshot& snapshot, gc::GreyBuffer& grey);
size_t ShadeRange(AddrRange range, gc::GreyBuffer& grey);

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_STACK_SCAN_H_
