// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// TRICOLOR_TRACE(Type, field, ...), inside a class, names the fields that hold
// pointers into the heap; the exact pointer map is computed from them at
// compile time. Fields may be Ptr<T> and AtomicPtr<T>, classes with
// TRICOLOR_TRACE of their own, and arrays (T[n], std::array) of these; fields
// of arithmetic and enumeration types may be named and are ignored. A base
// class with a map of its own is named as TRICOLOR_BASE(Base).
// TRICOLOR_TRACE(Type) says "no pointers". T* and std::atomic<T*> may be named,
// too: then each store to them, also the first, is the program's to pass
// through StorePointer or WriteBarrier (docs/barrier.md).
//
//   class Node {
//     TRICOLOR_TRACE(Node, left_, right_);
//     tricolor::Ptr<Node> left_, right_;
//     int value_;
//   };
//
// In a class template, Type is the injected class name. Not for local classes,
// nor for Weak fields: see docs/runtime.md, "limits".

#ifndef TRICOLOR_RUNTIME_TRACE_H_
#define TRICOLOR_RUNTIME_TRACE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "tricolor/runtime/atomic_ptr.h"
#include "tricolor/runtime/ptr.h"

// The access of the surrounding section is left as it is. offsetof works for
// every class that has no virtual bases, which both supported compilers
// promise; the warning is about other ones. The members are templates over the
// most derived type, so that a base's fields are found at their offsets in the
// derived class.
#define TRICOLOR_TRACE(Type, ...)                                        \
  friend struct ::tricolor::internal::TraceAccess;                       \
  using TricolorTracedType = Type;                                       \
  template <typename TricolorMostDerived, typename TricolorMap>          \
  static constexpr void TricolorTraceFields(                             \
      [[maybe_unused]] TricolorMap& tricolor_map,                        \
      [[maybe_unused]] size_t tricolor_offset) {                         \
    _Pragma("GCC diagnostic push")                                       \
        _Pragma("GCC diagnostic ignored \"-Winvalid-offsetof\"")         \
            TRICOLOR_INTERNAL_FOR_EACH(                                  \
                TRICOLOR_INTERNAL_TRACE_ITEM __VA_OPT__(, ) __VA_ARGS__) \
                _Pragma("GCC diagnostic pop")                            \
  }                                                                      \
  static_assert(true, "require a semicolon after TRICOLOR_TRACE")

// An item of TRICOLOR_TRACE: the fields that `Base` traces.
#define TRICOLOR_BASE(Base) (Base)

// ---- Internals of the macro.

#define TRICOLOR_INTERNAL_TRACE_ITEM(item)                   \
  TRICOLOR_INTERNAL_CONCAT(TRICOLOR_INTERNAL_TRACE_ITEM_,    \
                           TRICOLOR_INTERNAL_IS_PAREN(item)) \
  (item)
#define TRICOLOR_INTERNAL_TRACE_ITEM_0(field)                             \
  static_assert(                                                          \
      std::is_base_of_v<::tricolor::internal::ClassOfMember<              \
                            decltype(&TricolorMostDerived::field)>,       \
                        TricolorTracedType>,                              \
      "a derived class has a field of the same name, which hides this "   \
      "one; give one of them another name");                              \
  ::tricolor::internal::TraceField<decltype(TricolorMostDerived::field)>( \
      tricolor_map, tricolor_offset + offsetof(TricolorMostDerived, field));
#define TRICOLOR_INTERNAL_TRACE_ITEM_1(base)                                \
  ::tricolor::internal::TraceAccess::Fields<TRICOLOR_INTERNAL_UNPAREN base, \
                                            TricolorMostDerived>(           \
      tricolor_map, tricolor_offset);

#define TRICOLOR_INTERNAL_CONCAT(a, b) TRICOLOR_INTERNAL_CONCAT_(a, b)
#define TRICOLOR_INTERNAL_CONCAT_(a, b) a##b
#define TRICOLOR_INTERNAL_UNPAREN(...) __VA_ARGS__
// 1 if `item` is in parentheses, else 0.
#define TRICOLOR_INTERNAL_IS_PAREN(item) \
  TRICOLOR_INTERNAL_SECOND(TRICOLOR_INTERNAL_PAREN_PROBE item, 0, ~)
#define TRICOLOR_INTERNAL_SECOND(...) TRICOLOR_INTERNAL_SECOND_(__VA_ARGS__)
#define TRICOLOR_INTERNAL_SECOND_(first, second, ...) second
#define TRICOLOR_INTERNAL_PAREN_PROBE(...) ~, 1

// FOR_EACH(macro, a, b, ...) is macro(a) macro(b) ...: each EXPAND rescans its
// arguments, up to 256 times in all.
#define TRICOLOR_INTERNAL_PARENS ()
#define TRICOLOR_INTERNAL_EXPAND(...)                  \
  TRICOLOR_INTERNAL_EXPAND3(TRICOLOR_INTERNAL_EXPAND3( \
      TRICOLOR_INTERNAL_EXPAND3(TRICOLOR_INTERNAL_EXPAND3(__VA_ARGS__))))
#define TRICOLOR_INTERNAL_EXPAND3(...)                 \
  TRICOLOR_INTERNAL_EXPAND2(TRICOLOR_INTERNAL_EXPAND2( \
      TRICOLOR_INTERNAL_EXPAND2(TRICOLOR_INTERNAL_EXPAND2(__VA_ARGS__))))
#define TRICOLOR_INTERNAL_EXPAND2(...)                 \
  TRICOLOR_INTERNAL_EXPAND1(TRICOLOR_INTERNAL_EXPAND1( \
      TRICOLOR_INTERNAL_EXPAND1(TRICOLOR_INTERNAL_EXPAND1(__VA_ARGS__))))
#define TRICOLOR_INTERNAL_EXPAND1(...) __VA_ARGS__
#define TRICOLOR_INTERNAL_FOR_EACH(macro, ...) \
  __VA_OPT__(TRICOLOR_INTERNAL_EXPAND(         \
      TRICOLOR_INTERNAL_FOR_EACH_STEP(macro, __VA_ARGS__)))
#define TRICOLOR_INTERNAL_FOR_EACH_STEP(macro, item, ...)                   \
  macro(item)                                                               \
      __VA_OPT__(TRICOLOR_INTERNAL_FOR_EACH_AGAIN TRICOLOR_INTERNAL_PARENS( \
          macro, __VA_ARGS__))
#define TRICOLOR_INTERNAL_FOR_EACH_AGAIN() TRICOLOR_INTERNAL_FOR_EACH_STEP

namespace tricolor::internal {

// Whether T itself, and not merely a base of it, says TRICOLOR_TRACE, is
// checked when its fields are asked for. A friend of every traced class.
struct TraceAccess {
  template <typename T>
  static constexpr bool IsTraced() {
    return requires { typename T::TricolorTracedType; };
  }
  template <typename T, typename MostDerived, typename Map>
  static constexpr void Fields(Map& map, size_t offset) {
    static_assert(std::is_same_v<typename T::TricolorTracedType, T>,
                  "a class derived from a traced class needs a TRICOLOR_TRACE "
                  "of its own that names TRICOLOR_BASE(Base)");
    T::template TricolorTraceFields<MostDerived>(map, offset);
  }
};

// The class C of a pointer to member F C::*.
template <typename T>
struct ClassOfMemberHelper;
template <typename C, typename F>
struct ClassOfMemberHelper<F C::*> {
  using type = C;
};
template <typename T>
using ClassOfMember = typename ClassOfMemberHelper<T>::type;

template <typename T>
struct IsPointerField : std::bool_constant<std::is_pointer_v<T>> {};
template <typename T>
struct IsPointerField<Ptr<T>> : std::true_type {};
template <typename T>
struct IsPointerField<AtomicPtr<T>> : std::true_type {};
template <typename T>
struct IsPointerField<std::atomic<T*>> : std::true_type {};

template <typename T>
struct ArrayElement {};
template <typename T, size_t n>
struct ArrayElement<T[n]> {
  using type = T;
  static constexpr size_t kLength = n;
};
template <typename T, size_t n>
struct ArrayElement<std::array<T, n>> {
  using type = T;
  static constexpr size_t kLength = n;
};

// Reports the pointers of a field of type F at `offset` bytes to `map`, by
// map.AddPointer(offset).
template <typename F, typename Map>
constexpr void TraceField(Map& map, size_t offset) {
  using T = std::remove_cv_t<F>;
  if constexpr (IsPointerField<T>::value) {
    map.AddPointer(offset);
  } else if constexpr (requires { typename ArrayElement<T>::type; }) {
    using Element = typename ArrayElement<T>::type;
    for (size_t i = 0; i < ArrayElement<T>::kLength; ++i) {
      TraceField<Element>(map, offset + i * sizeof(Element));
    }
  } else if constexpr (std::is_class_v<T>) {
    static_assert(TraceAccess::IsTraced<T>(),
                  "a traced field is a pointer, or a class that has a "
                  "TRICOLOR_TRACE of its own");
    TraceAccess::Fields<T, T>(map, offset);
  } else {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>,
                  "a field of this type cannot be traced");
  }
}

}  // namespace tricolor::internal

#endif  // TRICOLOR_RUNTIME_TRACE_H_
