// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Fibers for tests, made with makecontext and swapcontext. The sanitizers are
// told of each switch, as a program that runs under them must do.

#ifndef TRICOLOR_RUNTIME_FIBER_TESTING_H_
#define TRICOLOR_RUNTIME_FIBER_TESTING_H_

#include <sys/mman.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/config.h"
#include "tricolor/base/units.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/stack_scan.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef ABSL_HAVE_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace tricolor::runtime {

inline constexpr size_t kStackBytes = 256 << 10;

// Something to switch to.
struct Context {
  ucontext_t ucontext = {};
  StackBounds bounds;
  void* asan_stack = nullptr;
  void* tsan_fiber = nullptr;

  // The calling thread's own.
  void SetOwn() {
    bounds = StackBounds::OfThisThread();
#ifdef ABSL_HAVE_THREAD_SANITIZER
    tsan_fiber = __tsan_get_current_fiber();
#endif
  }
};

// Tells the sanitizers. `fake_stack`: null when the stack is left for good.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void BeforeSwitch(
    [[maybe_unused]] void** fake_stack, [[maybe_unused]] const Context& to) {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  __sanitizer_start_switch_fiber(fake_stack, Addr(to.bounds.low).pointer(),
                                 to.bounds.high - to.bounds.low);
#endif
#ifdef ABSL_HAVE_THREAD_SANITIZER
  __tsan_switch_to_fiber(to.tsan_fiber, 0);
#endif
}
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void AfterSwitch(
    [[maybe_unused]] void* fake_stack) {
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

ABSL_ATTRIBUTE_NOINLINE inline void Switch(Mutator& mutator, Context& from,
                                           Context& to, FiberStack* stack) {
  FiberSwitch announced(mutator, stack);
  BeforeSwitch(&from.asan_stack, to);
  swapcontext(&from.ucontext, &to.ucontext);
  AfterSwitch(from.asan_stack);
}

class Fiber {
 public:
  // `where`: to have the FiberStack there; null: anywhere.
  Fiber(Heap& heap, std::function<void(Fiber&)> body,
        std::optional<FiberStack>* where = nullptr)
      : heap_(heap), memory_(Map()), body_(std::move(body)), where_(where) {
    if (where != nullptr) {
      stack_ = &where->emplace(heap, memory_, kStackBytes);
    } else {
      own_ = std::make_unique<FiberStack>(heap, memory_, kStackBytes);
      stack_ = own_.get();
    }
    const auto low = reinterpret_cast<uintptr_t>(memory_);
    context_.bounds = {low, low + kStackBytes};
    getcontext(&context_.ucontext);
    context_.ucontext.uc_stack.ss_sp = memory_;
    context_.ucontext.uc_stack.ss_size = kStackBytes;
    const auto self = reinterpret_cast<uint64_t>(this);
    makecontext(&context_.ucontext, reinterpret_cast<void (*)()>(&Main), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
#ifdef ABSL_HAVE_THREAD_SANITIZER
    context_.tsan_fiber = __tsan_create_fiber(0);
#endif
  }
  ~Fiber() {
    own_.reset();
    if (where_ != nullptr) where_->reset();
#ifdef ABSL_HAVE_THREAD_SANITIZER
    __tsan_destroy_fiber(context_.tsan_fiber);
#endif
    munmap(memory_, kStackBytes);
  }

  Heap& heap() { return heap_; }
  // Of the thread that runs the fiber now.
  ABSL_ATTRIBUTE_NOINLINE Mutator& mutator() {
    return *Mutator::Current(heap_);
  }
  FiberStack& stack() { return *stack_; }
  Context& context() { return context_; }
  bool ended() const { return ended_; }

  // Goes on with the fiber, until it yields.
  ABSL_ATTRIBUTE_NOINLINE void Resume(Mutator& mutator) {
    Context own;
    own.SetOwn();
    resumer_ = &own;
    Switch(mutator, own, context_, stack_);
  }
  // Back to who has resumed it.
  ABSL_ATTRIBUTE_NOINLINE void Yield() {
    Switch(mutator(), context_, *resumer_, nullptr);
  }
  // On this fiber: goes on with another one, in this one's place.
  ABSL_ATTRIBUTE_NOINLINE void SwitchTo(Fiber& other) {
    other.resumer_ = resumer_;
    Switch(mutator(), context_, other.context_, other.stack_);
  }

 private:
  static void* Map() {
    return mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  static void Main(unsigned high, unsigned low) {
    AfterSwitch(nullptr);
    auto* self = Addr((uint64_t{high} << 32) | low).as<Fiber>();
    FiberSwitch::Arrive(self->heap_);
    self->body_(*self);
    self->ended_ = true;
    self->Leave();
  }
  ABSL_ATTRIBUTE_NOINLINE void Leave() {
    FiberSwitch::Last(mutator(), nullptr);
    BeforeSwitch(nullptr, *resumer_);
    setcontext(&resumer_->ucontext);
  }

  Heap& heap_;
  void* const memory_;
  std::function<void(Fiber&)> body_;
  std::unique_ptr<FiberStack> own_;
  std::optional<FiberStack>* const where_;
  FiberStack* stack_;
  Context context_;
  Context* resumer_ = nullptr;
  bool ended_ = false;
};

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_FIBER_TESTING_H_
