// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// AddCleanup(object, callable), AddCleanup(object, function, argument): have
// something called after `object` was found dead: to free what it owned outside
// the heap. Any number for one object; they run one after the other in the
// order in which they were added, on the heap's cleanup thread or in
// Heap::RunCleanups, never inside a collection, once. What is still waiting
// when the heap is destroyed is dropped without being run.
//
// The callable is kept outside the heap: it must not hold the object (a Root to
// it keeps it for ever; a plain pointer dangles), and holds other objects by
// Root. TRICOLOR_DEBUG=checkcleanups=1 looks for that mistake. It runs attached
// to the heap, so that it may allocate, and blocks in a NativeScope. Exceptions
// that leave it are reported on stderr. Go: runtime.AddCleanup. Thread-safe.

#ifndef TRICOLOR_RUNTIME_CLEANUP_H_
#define TRICOLOR_RUNTIME_CLEANUP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
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
  // The callable's own bytes, for checks.
  virtual const void* bytes() const = 0;
  virtual size_t size() const = 0;
};

template <typename Callable>
class CleanupCallOf final : public CleanupCall {
 public:
  template <typename F>
  explicit CleanupCallOf(F&& callable) : callable_(std::forward<F>(callable)) {}
  void Run() override { callable_(); }
  const void* bytes() const override { return &callable_; }
  size_t size() const override { return sizeof(callable_); }

 private:
  Callable callable_;
};

}  // namespace runtime

// What AddCleanup returns: false when there was no memory for the cleanup, and
// then nothing will be called. A plain value; it must not be used when its heap
// is gone.
class Cleanup {
 public:
  constexpr Cleanup() = default;

  // Takes the cleanup off: true when it has not been and will not be called,
  // and its callable has been destroyed. False when the object was found dead
  // already (the callable is waiting, running or has run), it was stopped
  // before, or this is empty.
  bool Stop();

  explicit operator bool() const { return queue_ != nullptr; }

 private:
  friend class runtime::CleanupQueue;

  runtime::CleanupQueue* queue_ = nullptr;
  runtime::CleanupRecord* record_ = nullptr;
  uint64_t id_ = 0;
};

namespace runtime {
// Fatal for an object outside of every heap. Empty for a null `call`, and when
// there is no memory.
Cleanup AddCleanupCall(const void* object, std::unique_ptr<CleanupCall> call);
// Fatal when `callable` is a null pointer, to a function or a member.
[[noreturn]] void FailNullCallable(const void* object);
template <typename Callable>
void CheckCallable(const void* object, const Callable& callable) {
  if constexpr (std::is_pointer_v<Callable> ||
                std::is_member_pointer_v<Callable>) {
    if (callable == nullptr) FailNullCallable(object);
  }
}
// Fatal when both point into one object.
void CheckCleanupArgument(const void* object, const void* argument);
}  // namespace runtime

// What can be called with copies of these arguments.
template <typename F, typename... Arguments>
concept CallableAs = std::is_invocable_v < std::decay_t<F>
&, std::decay_t<Arguments>... > ;

template <typename T, CallableAs<> Callable>
Cleanup AddCleanup(T* object, Callable&& callable) {
  runtime::CheckCallable<std::decay_t<Callable>>(object, callable);
  using Call = runtime::CleanupCallOf<std::decay_t<Callable>>;
  return runtime::AddCleanupCall(
      object, std::unique_ptr<runtime::CleanupCall>(
                  new (std::nothrow) Call(std::forward<Callable>(callable))));
}

// Calls function(argument). An argument that points into the object is fatal.
template <typename T, typename Argument, CallableAs<Argument> Function>
Cleanup AddCleanup(T* object, Function&& function, Argument&& argument) {
  runtime::CheckCallable<std::decay_t<Function>>(object, function);
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
