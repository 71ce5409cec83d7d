// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// SuspendedStacks: the stacks of a heap that hold frames while no thread runs
// on them: those of fibers, and those of threads that run a fiber instead. Each
// has a snapshot, and is scanned once in a cycle, by the collector or by the
// thread that switches to it. Stacks that have been scanned stand behind those
// that have not.
//
// Go counterpart: the stacks of goroutines that wait. With the world's mutex.
// INV-RUNTIME-5: when a cycle's marking ends, every suspended stack has been
// scanned in it. Checked when marking ends. Cost of Add and Remove: constant.

#ifndef TRICOLOR_RUNTIME_SUSPENDED_STACKS_H_
#define TRICOLOR_RUNTIME_SUSPENDED_STACKS_H_

#include <cstddef>
#include <cstdint>

#include "tricolor/gc/grey_buffer.h"
#include "tricolor/gc/marker.h"
#include "tricolor/runtime/stack_scan.h"

namespace tricolor::runtime {

struct StackRecord {
  StackSnapshot snapshot;  // of a suspended one; its bounds always
  // Some mutator's current one.
  bool running = false;
  // Listed: it holds frames.
  bool suspended = false;
  // The cycle in which it was last scanned while suspended.
  uint64_t scanned_in = 0;
  StackRecord* next = nullptr;
  StackRecord* prev = nullptr;
};

class SuspendedStacks {
 public:
  explicit SuspendedStacks(gc::Marker& marker) : grey_(marker) {}
  SuspendedStacks(const SuspendedStacks&) = delete;
  SuspendedStacks& operator=(const SuspendedStacks&) = delete;

  // `scanned`: in this cycle.
  void Add(StackRecord& stack, bool scanned);
  void Remove(StackRecord& stack);
  // Those whose records lie in this part of memory.
  void RemoveWithin(StackBounds bounds);
  bool scanned(const StackRecord& stack) const {
    return stack.scanned_in == cycle_;
  }

  // World stopped: none has been scanned.
  void BeginCycle() { ++cycle_; }
  // Shades some that have not been scanned in this cycle, and publishes that.
  // False when there is none. Adds the words to *words.
  bool ShadeSome(size_t* words);
  // World stopped: shades all, scanned or not.
  size_t ShadeEach();
  void Read(WordSink& sink) const;
  // Of the parts that hold frames.
  uint64_t bytes() const { return bytes_; }

  // Fatal when one has not been scanned in this cycle.
  void CheckScanned() const;
  // Fatal when the list is broken.
  void CheckInvariants() const;

 private:
  // A thread that switches waits for so much at most, and one stack.
  static constexpr size_t kMostWords = 16 << 10;

  static uint64_t BytesOf(const StackRecord& stack) {
    return stack.snapshot.bounds.high - stack.snapshot.stack_pointer;
  }

  gc::GreyBuffer grey_;
  uint64_t cycle_ = 1;
  StackRecord* first_ = nullptr;
  StackRecord* last_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_SUSPENDED_STACKS_H_
