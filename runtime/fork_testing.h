// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of fork() share: a child that checks and reports, and uses a
// heap in all the ways that matter.
//
// ThreadSanitizer's default is to end the child of a process with several
// threads when it makes one. With die_after_fork=0 it watches the parent, and
// looks away in the thread of the child that forked.

#ifndef TRICOLOR_RUNTIME_FORK_TESTING_H_
#define TRICOLOR_RUNTIME_FORK_TESTING_H_

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "absl/base/attributes.h"
#include "gtest/gtest.h"
#include "tricolor/runtime/runtime_testing.h"

// Each of the tests defines it, for the library's own is a weak one.
extern "C" const char* __tsan_default_options();

namespace tricolor::runtime {

// Runs in a child, which dies when it hangs; whether all its expectations held.
// The parent waits natively if it has a mutator.
template <typename Action>
void ForkAndCheck(Mutator* mutator, Action action) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(120);
    action();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  if (mutator != nullptr) {
    Mutator::NativeScope native(*mutator);
    ASSERT_EQ(waitpid(child, &status, 0), child);
  } else {
    ASSERT_EQ(waitpid(child, &status, 0), child);
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << "the child's status is " << status;
}

// Is set once. A thread that waits with its mutator comes to safepoints.
class Flag {
 public:
  void Set() { set_ = true; }
  void Await(Mutator* mutator = nullptr) const {
    while (!set_) {
      if (mutator != nullptr) mutator->Safepoint();
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

 private:
  std::atomic<bool> set_{false};
};

ABSL_ATTRIBUTE_NOINLINE inline void MakeGarbage(Mutator& mutator,
                                                size_t nodes) {
  for (size_t i = 0; i < nodes; ++i) {
    ASSERT_NE(mutator.New<Node>(i), nullptr);
  }
}

// What a process does with a heap, in little: allocates, collects, has a thread
// attached, weak pointers and cleanups.
inline void UseHeap(Heap& heap) {
  const auto work = [&heap] {
    Mutator mutator(heap);
    Root<Node> list(mutator, MakeList(mutator, 1000));
    Weak<Node> weak(list.get());
    MakeGarbage(mutator, 5000);
    heap.Collect();
    EXPECT_TRUE(ListIsIntact(list.get(), 1000));
    EXPECT_EQ(weak.Get(), list.get());
  };
  OnOtherThread(work);
  if (Mutator::Current(heap) == nullptr) work();
  heap.Collect();
  heap.CheckInvariants();
  EXPECT_GT(heap.ReadMemStats().num_gc, 0u);
}

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_FORK_TESTING_H_
