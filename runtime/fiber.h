// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Fibers: programs that switch stacks on a thread (ucontext, Boost.Context).
//
//   FiberStack stack(heap, memory, bytes);     // where the fiber will run
//   {
//     FiberSwitch to_fiber(mutator, &stack);   // announces the switch
//     swapcontext(&own, &fiber);               // any way of switching
//   }                                          // somebody has switched back
//
// A fiber's function begins with FiberSwitch::Arrive(heap), and leaves for the
// last time after FiberSwitch::Last. What a stack holds that no thread runs on
// is kept as if one did. Any attached thread may go on with a fiber; it has
// another Mutator then: see Mutator::Current. docs/safepoints.md has the rules.
//
// Go counterpart: the stacks of goroutines, gosave. Cost: a lock; while a cycle
// marks, the first switch from or to a stack scans it.

#ifndef TRICOLOR_RUNTIME_FIBER_H_
#define TRICOLOR_RUNTIME_FIBER_H_

#include <cstddef>

#include "absl/base/attributes.h"
#include "tricolor/runtime/mutator.h"
#include "tricolor/runtime/suspended_stacks.h"
#include "tricolor/runtime/world.h"

namespace tricolor {

class Heap;

// The heap knows the memory as a stack, on which nothing has run yet. One that
// uses several heaps has a FiberStack in each. Thread-safe.
class FiberStack {
 public:
  // The memory outlives this, and this does not outlive the heap. Fatal when it
  // is empty.
  FiberStack(Heap& heap, void* low, size_t bytes);
  // What is on the stack is kept no longer. Fatal while a thread runs on it.
  ~FiberStack();
  FiberStack(const FiberStack&) = delete;
  FiberStack& operator=(const FiberStack&) = delete;

  // As if nothing had run on it. Fatal while a thread does.
  void Clear();

 private:
  friend class FiberSwitch;

  Heap& heap_;
  runtime::StackRecord record_;
};

// A local variable of who switches, around the switch. From its beginning to
// the switch the thread must not touch the heap. It ends on the stack that it
// began on, perhaps on another thread; the end is a safepoint. A thread that is
// attached to several heaps needs one for each. Fatal: a NativeScope is open,
// a thread runs on `to` already, the program switches to another stack.
class FiberSwitch {
 public:
  // Null: to the thread's own stack. Inlined always, as NativeScope.
  ABSL_ATTRIBUTE_ALWAYS_INLINE FiberSwitch(Mutator& mutator, FiberStack* to)
      : heap_(mutator.heap()), from_(Announce(mutator, to)) {
    runtime::tricolor_switch_stack(&from_.snapshot, &mutator.context(),
                                   Record(mutator, to));
  }
  ~FiberSwitch() { FinishSwitch(heap_, &from_); }
  FiberSwitch(const FiberSwitch&) = delete;
  FiberSwitch& operator=(const FiberSwitch&) = delete;
  static void* operator new(size_t) = delete;

  // First on a fiber: until then no signal can stop the thread.
  static void Arrive(Heap& heap) { FinishSwitch(heap, nullptr); }
  // Before the switch from a stack that is not needed any more: it is as if
  // nothing had run on it.
  ABSL_ATTRIBUTE_ALWAYS_INLINE static void Last(Mutator& mutator,
                                                FiberStack* to) {
    runtime::StackRecord& from = Announce(mutator, to);
    mutator.context().leaves_for_good = true;
    runtime::tricolor_switch_stack(&from.snapshot, &mutator.context(),
                                   Record(mutator, to));
  }

 private:
  static runtime::StackRecord* Record(Mutator& mutator, FiberStack* to) {
    return to == nullptr ? &mutator.context().own_stack : &to->record_;
  }
  // Checks, and keeps signals away. Returns the stack that is to be left.
  static runtime::StackRecord& Announce(Mutator& mutator, FiberStack* to);
  // On the new stack, which is `expected` if that is not null.
  static void FinishSwitch(Heap& heap, const runtime::StackRecord* expected);

  Heap& heap_;
  runtime::StackRecord& from_;
};

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_FIBER_H_
