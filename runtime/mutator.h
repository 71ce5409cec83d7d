// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Mutator: attaches the calling thread to a heap for its lifetime, and
// allocates. A thread may be attached to several heaps, once to each; only that
// thread uses the Mutator, and destroys it.
//
// While attached, a thread is in managed code: the collector waits for it to
// reach a safepoint (an allocation that takes the slow path, Safepoint(), any
// blocking call of the heap). Around anything that may block or run for long
// without allocating, put a NativeScope.
//
// Go counterpart: an M with its P, mallocgc. Cost: allocating an object whose
// type is known at compile time is a bump of a pointer, inline, with no lock,
// no call and no atomic read-modify-write.

#ifndef TRICOLOR_RUNTIME_MUTATOR_H_
#define TRICOLOR_RUNTIME_MUTATOR_H_

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "tricolor/base/check.h"
#include "tricolor/mcache/allocate-inl.h"
#include "tricolor/runtime/ptr.h"
#include "tricolor/runtime/type_info_of.h"
#include "tricolor/runtime/world.h"

namespace tricolor {

class Heap;
namespace runtime {
class HeapCore;
}  // namespace runtime

class Mutator {
 public:
  // Fatal when the thread is attached to `heap` already. Waits while a
  // collection has the world stopped.
  explicit Mutator(Heap& heap);
  // In a child of fork(), nothing if the mutator is of a thread that did not
  // fork: it has been detached.
  ~Mutator();
  Mutator(const Mutator&) = delete;
  Mutator& operator=(const Mutator&) = delete;

  // A new T(args...). Null, with the constructor not run, when the heap is full
  // even after a collection. T's destructor is never run: see AddCleanup. An
  // exception of the constructor leaves garbage behind and nothing else. In
  // exact mode a constructor that allocates must first put `this` into a Root.
  template <typename T, typename... Args>
  T* New(Args&&... args) {
    CheckObjectType<T>();
    void* memory = AllocateOne<T>();
    if (ABSL_PREDICT_FALSE(memory == nullptr)) return nullptr;
    if constexpr (sizeof...(Args) == 0) {
      return ConstructInZeros<T>(memory);
    } else {
      return ::new (memory) T(std::forward<Args>(args)...);
    }
  }

  // `n` value-initialized Ts, one after the other; a pointer to any of them,
  // or, of two and more, one past the last, keeps them all. Null when the heap
  // is full. 0 is as 1.
  template <typename T>
  T* NewArray(size_t n) {
    CheckObjectType<T>();
    T* array = static_cast<T*>(Allocate(TypeInfoOf<T>(), n));
    // Zeroed memory is null pointers and zeros already.
    if constexpr (!std::is_arithmetic_v<T> && !std::is_enum_v<T> &&
                  !internal::IsPointerField<T>::value) {
      if (array == nullptr) return nullptr;
      for (T* p = array; p != array + n; ++p) ConstructInZeros<T>(p);
    }
    return array;
  }

  // Zeroed memory for `n` objects of a type that may be known only at run time;
  // 0 is as 1. Null when the heap is full, or the size impossible.
  void* Allocate(const TypeInfo& type, size_t n = 1);

  // Lets a collection happen here, if one waits. For loops that do not
  // allocate. Pointers in local variables are seen (in exact mode: are not).
  void Safepoint() {
    CheckThread();
    if (ABSL_PREDICT_FALSE(context_.poll.LoadRelaxed() != 0)) SafepointSlow();
  }

  class NativeScope;

  Heap& heap() const { return heap_; }
  // That of the calling thread for `heap`, or null.
  static Mutator* Current(Heap& heap);

  // Fatal on another thread, or inside of a NativeScope.
  void CheckManaged() const { CheckThreadSlow(); }

  // For Root.
  runtime::RootTable& root_table() const { return root_table_; }
  runtime::MutatorContext& context() { return context_; }

 private:
  template <typename T>
  static constexpr void CheckObjectType() {
    static_assert(std::is_object_v<T> && !std::is_array_v<T> &&
                      !std::is_const_v<T> && !std::is_volatile_v<T>,
                  "a heap object's type is a plain object type");
    static_assert(std::is_trivially_destructible_v<T>,
                  "the collector runs no destructors: attach what is to happen "
                  "after an object's death with tricolor::AddCleanup");
  }

  // A value-initialized T. T() may write zeros over the whole object first, and
  // plainly, beside a marker that has found it; the memory has them already.
  template <typename T>
  ABSL_ATTRIBUTE_ALWAYS_INLINE static T* ConstructInZeros(void* memory) {
    if constexpr (!TypeInfoOf<T>().has_pointers()) {
      return ::new (memory) T();
    } else {
      T* object = ::new (memory) T;
      // To the compiler, what no constructor has stored is indeterminate: from
      // here on it is whatever this may have stored.
      asm("" : "+r"(object), "+m"(*object));
      return object;
    }
  }

  template <typename T>
  ABSL_ATTRIBUTE_ALWAYS_INLINE void* AllocateOne() {
    constexpr const TypeInfo& kType = TypeInfoOf<T>();
    constexpr mcache::FixedLayout kLayout = mcache::FixedLayoutFor(kType);
    if constexpr (kLayout.large || std::is_scalar_v<T>) {
      return Allocate(kType, 1);  // scalars may share tiny blocks
    } else {
      CheckThread();
      return mcache::AllocateFixedSlot<kLayout>(
          context_.processor->cache(), kType,
          [this](mheap::SpanClass span_class, uint64_t pointer_bits,
                 const TypeInfo* type) {
            return AllocateSlotSlow(span_class, pointer_bits, type);
          });
    }
  }

  // In debug builds: on the right thread, in managed state.
  void CheckThread() const {
#ifndef NDEBUG
    CheckThreadSlow();
#endif
  }
  void CheckThreadSlow() const;
  void CheckScopeThread() const;

  ABSL_ATTRIBUTE_NOINLINE void* AllocateSlotSlow(mheap::SpanClass span_class,
                                                 uint64_t pointer_bits,
                                                 const TypeInfo* type);
  ABSL_ATTRIBUTE_NOINLINE void SafepointSlow();
  // Before an allocation that may need a new run or span: safepoint, a
  // collection if one is due, the cache flushed.
  void PrepareToAllocate();
  // After an allocation has failed: collects. Whether to try again.
  void CollectForMemory();

  runtime::MutatorContext context_;
  Heap& heap_;
  runtime::HeapCore& core_;
  runtime::RootTable& root_table_;
};

// While it lives its thread may block, or run for long: the collector does not
// wait for it. Meanwhile the thread must not touch the heap: no allocation, no
// reading, writing or copying of pointers to heap objects (Roots may be used;
// contents of objects without pointers, too). Waits at its end while the world
// is stopped. Scopes of one mutator nest; a thread that is attached to several
// heaps needs one for each. Must be a local variable.
class Mutator::NativeScope {
 public:
  // Inlined always: the snapshot is taken of the function that holds the scope.
  ABSL_ATTRIBUTE_ALWAYS_INLINE explicit NativeScope(Mutator& mutator)
      : context_(mutator.context_) {
    mutator.CheckScopeThread();
    if (context_.native_scopes++ == 0) {
      runtime::tricolor_enter_native(&context_);
    }
  }
  ~NativeScope() {
    if (--context_.native_scopes != 0) return;
    runtime::World::LeaveNative(context_);
    if (ABSL_PREDICT_FALSE(context_.poll.LoadRelaxed() != 0)) {
      context_.world->Poll(context_);
    }
  }
  NativeScope(const NativeScope&) = delete;
  NativeScope& operator=(const NativeScope&) = delete;
  static void* operator new(size_t) = delete;

 private:
  runtime::MutatorContext& context_;
};

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_MUTATOR_H_
