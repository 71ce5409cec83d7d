// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// SetFinalizer(object, callable): have callable(object) called when a
// collection finds that nothing else reaches `object`. The object and all that
// it reaches live on until then, and after if the callable stores the pointer
// somewhere; it has no finalizer any more, and may be given one again. Its weak
// pointers are null from before the call on, for ever. Its cleanups run when it
// finally dies.
//
// If A reaches B and both have finalizers, A's runs first, and B's after a
// later collection. An object that reaches itself is never found: prefer
// AddCleanup, which has neither drawback. The call comes once, where cleanups
// run and under their rules. Go: SetFinalizer. Thread-safe.

#ifndef TRICOLOR_RUNTIME_FINALIZER_H_
#define TRICOLOR_RUNTIME_FINALIZER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "tricolor/runtime/cleanup.h"

namespace tricolor {
namespace runtime {

// The object is kept alive by the queue until Run has returned.
template <typename T, typename Callable>
class FinalizerCallOf final : public CleanupCall {
 public:
  template <typename F>
  FinalizerCallOf(T* object, F&& callable)
      : object_(object), callable_(std::forward<F>(callable)) {}
  void Run() override { std::invoke(callable_, object_); }
  const void* bytes() const override { return &callable_; }
  size_t size() const override { return sizeof(callable_); }

 private:
  T* const object_;
  Callable callable_;
};

// `object_size`: sizeof the type by which the object is known.
bool SetFinalizerCall(const void* object, size_t object_size,
                      std::unique_ptr<CleanupCall> call);
bool ClearFinalizerOf(const void* object);

}  // namespace runtime

// False when there is no memory for it. Fatal: a null pointer to a function; an
// object outside of every heap;
// one that has a finalizer already (ClearFinalizer first); one without pointers
// that may share its block with others (smaller than 16 bytes), for it would be
// unreachable no sooner than they.
template <typename T, CallableAs<T*> Callable>
bool SetFinalizer(T* object, Callable&& callable) {
  static_assert(std::is_object_v<T>, "the object's type must be known");
  runtime::CheckCallable<std::decay_t<Callable>>(object, callable);
  using Call = runtime::FinalizerCallOf<T, std::decay_t<Callable>>;
  return runtime::SetFinalizerCall(
      object, sizeof(T),
      std::unique_ptr<runtime::CleanupCall>(
          new (std::nothrow) Call(object, std::forward<Callable>(callable))));
}

// Takes the finalizer off; false when there is none: it was never set, or the
// object has been found unreachable since, and it is waiting or has run. Throws
// std::bad_alloc when the object must be held while this waits for another
// thread's cache, and there is no memory for a Root.
template <typename T>
bool ClearFinalizer(T* object) {
  return runtime::ClearFinalizerOf(object);
}
// The same.
template <typename T>
bool SetFinalizer(T* object, std::nullptr_t) {
  return runtime::ClearFinalizerOf(object);
}

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_FINALIZER_H_
