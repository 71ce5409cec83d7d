// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// AddCleanup(object, callable), AddCleanup(object, function, argument): have
// something called after `object` was found dead: to free what it owned outside
// the heap. Any number for one object; they run in the order in which they were
// added, on the heap's cleanup thread or in Heap::RunCleanups, never inside a
// collection, once. What is still waiting when the heap is destroyed is dropped
// without being run.
//
// The callable is kept outside the heap: it must not hold the object (a Root to
// it keeps it for ever; a plain pointer dangles), and holds other objects by
// Root. It runs attached to the heap, so that it may allocate, and blocks in a
// NativeScope. An exception that leaves it is reported on stderr in one line.
//
// Go counterpart: runtime.AddCleanup. Thread-safe.

#ifndef TRICOLOR_RUNTIME_CLEANUP_H_
#define TRICOLOR_RUNTIME_CLEANUP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tricolor {
namespace runtime {

class CleanupQueue;
struct CleanupRecord;

// A callable, whatever its type.
class CleanupCall {
 public:
  virtual ~CleanupCall() = default;
  virtual void Run() = 0;
};

template <typename Callable>
class CleanupCallOf final : public CleanupCall {
 public:
  explicit CleanupCallOf(Callable callable) : callable_(std::move(callable)) {}
  void Run() override { callable_(); }

 private:
  Callable callable_;
};

}  // namespace runtime

// What AddCleanup returns. A plain value; it must not be used when its heap is
// gone.
class Cleanup {
 public:
  constexpr Cleanup() = default;

  // Takes the cleanup off: true when it has not been and will not be called,
  // and its callable has been destroyed. False when the object was found dead
  // already, or it was stopped before.
  bool Stop();

 private:
  friend class runtime::CleanupQueue;

  runtime::CleanupQueue* queue_ = nullptr;
  runtime::CleanupRecord* record_ = nullptr;
  uint64_t id_ = 0;
};

namespace runtime {
// Running out of memory is fatal, and so is an object outside of every heap.
Cleanup AddCleanupCall(const void* object, std::unique_ptr<CleanupCall> call);
// Fatal when both point into one object.
void CheckCleanupArgument(const void* object, const void* argument);
}  // namespace runtime

// What can be called with copies of these arguments.
template <typename F, typename... Arguments>
concept CallableAs = std::is_invocable_v < std::decay_t<F>
&, std::decay_t<Arguments>... > ;

template <typename T, CallableAs<> Callable>
Cleanup AddCleanup(T* object, Callable&& callable) {
  return runtime::AddCleanupCall(
      object, std::make_unique<runtime::CleanupCallOf<std::decay_t<Callable>>>(
                  std::forward<Callable>(callable)));
}

// Calls function(argument). An argument that points into the object is fatal.
template <typename T, typename Argument, CallableAs<Argument> Function>
Cleanup AddCleanup(T* object, Function&& function, Argument&& argument) {
  if constexpr (std::is_convertible_v<Argument, const void*>) {
    runtime::CheckCleanupArgument(object, argument);
  }
  return AddCleanup(
      object,
      [f = std::decay_t<Function>(std::forward<Function>(function)),
       a = std::decay_t<Argument>(std::forward<Argument>(argument))]() mutable {
        std::invoke(f, std::move(a));
      });
}

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_CLEANUP_H_
