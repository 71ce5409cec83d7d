// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// TypeInfoOf<T>(): how the collector finds the pointers in a T.
//
//   arithmetic types, enumerations    no pointers
//   Ptr<T>, AtomicPtr<T>, T*, std::atomic<T*>
//                                     one pointer word
//   a class with TRICOLOR_TRACE       its exact pointer map
//   a class with a member function    void Trace(PointerVisitor&) const:
//                                     whatever that visits
//   arrays (T[n], std::array)         by their element, where it is exact
//   any other class                   conservatively: every aligned word
//
// All is computed at compile time; the TypeInfo has static storage duration.

#ifndef TRICOLOR_RUNTIME_TYPE_INFO_OF_H_
#define TRICOLOR_RUNTIME_TYPE_INFO_OF_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "tricolor/base/atomic.h"
#include "tricolor/mheap/type_info.h"
#include "tricolor/runtime/trace.h"

namespace tricolor {
namespace internal {

template <typename T>
concept HasTraceMember = requires(const T& object, PointerVisitor& visitor) {
  object.Trace(visitor);
};

template <typename T>
constexpr bool IsExactlyTraced() {
  if constexpr (requires { typename ArrayElement<T>::type; }) {
    return IsExactlyTraced<typename ArrayElement<T>::type>();
  } else {
    return std::is_arithmetic_v<T> || std::is_enum_v<T> ||
           IsPointerField<T>::value || TraceAccess::IsTraced<T>();
  }
}

// The pointer map of a T: a bit for each word.
template <typename T>
struct PointerMap {
  static constexpr size_t kWords = (sizeof(T) + 7) / 8;

  uint64_t bitmap[(kWords + 63) / 64] = {};
  size_t pointer_words = 0;

  constexpr void AddPointer(size_t offset) {
    const size_t word = offset / 8;
    bitmap[word / 64] |= uint64_t{1} << (word % 64);
    if (word >= pointer_words) pointer_words = word + 1;
    aligned &= offset % 8 == 0;
  }
  bool aligned = true;
};

// The name of T as the compiler spells it, as a constant with an end.
template <typename T>
struct TypeName {
  static constexpr std::string_view Find() {
    // "... Find() [T = Name]" (clang), "... Find() [with T = Name; ...]" (gcc).
    const std::string_view function = __PRETTY_FUNCTION__;
    const size_t begin = function.find("T = ") + 4;
    const size_t end = function.find_first_of(";]", begin);
    return function.substr(begin, end - begin);
  }
  struct Storage {
    char text[Find().size() + 1] = {};
    constexpr Storage() {
      for (size_t i = 0; i < Find().size(); ++i) text[i] = Find()[i];
    }
  };
  static constexpr Storage kStorage{};
};

// Without dispatch: the object is a T and of no class derived from it. Where a
// class has virtual functions, a null first word (the virtual table's) is
// memory that no constructor has been to yet, with nothing in it to visit.
template <typename T>
void CallTraceMember(const void* object, PointerVisitor& visitor) {
  if constexpr (std::is_polymorphic_v<T>) {
    if (LoadWordRelaxed(static_cast<const uintptr_t*>(object)) == 0) return;
  }
  static_cast<const T*>(object)->T::Trace(visitor);
}

// Whether Trace is a member of T and not of a base, whose pointers alone it
// would visit.
template <typename T>
constexpr bool HasOwnTraceMember() {
  return std::is_same_v<ClassOfMember<decltype(&T::Trace)>, T>;
}

template <typename T>
constexpr PointerMap<T> ComputePointerMap() {
  PointerMap<T> map;
  TraceField<T>(map, 0);
  return map;
}

template <typename T>
struct TypeInfoHolder {
  static constexpr TypeInfo Make(TypeInfo::Tracing tracing) {
    TypeInfo info;
    info.size = sizeof(T);
    info.align = alignof(T);
    info.tracing = tracing;
    info.name = TypeName<T>::kStorage.text;
    return info;
  }
  static constexpr TypeInfo Compute() {
    if constexpr (HasTraceMember<T>) {
      static_assert(HasOwnTraceMember<T>(),
                    "a class derived from one with a member function Trace "
                    "needs one of its own, which calls that of the base");
      static_assert(!TraceAccess::IsTraced<T>(),
                    "a class has either TRICOLOR_TRACE or a member function "
                    "Trace");
      TypeInfo info = Make(TypeInfo::Tracing::kCallback);
      info.trace = &CallTraceMember<T>;
      return info;
    } else if constexpr (!IsExactlyTraced<T>()) {
      return Make(TypeInfo::Tracing::kConservative);
    } else if constexpr (kMap.pointer_words == 0) {
      return Make(TypeInfo::Tracing::kNoPointers);
    } else {
      static_assert(kMap.aligned && sizeof(T) % 8 == 0,
                    "pointer fields must be aligned (no packed classes)");
      TypeInfo info = Make(TypeInfo::Tracing::kBitmap);
      info.pointer_words = kMap.pointer_words;
      info.bitmap = kMap.bitmap;
      return info;
    }
  }

  static constexpr auto ComputeMap() {
    if constexpr (IsExactlyTraced<T>() && !HasTraceMember<T>) {
      return ComputePointerMap<T>();
    } else {
      return 0;
    }
  }
  static constexpr auto kMap = ComputeMap();
  static constexpr TypeInfo kInfo = Compute();
};

}  // namespace internal

template <typename T>
constexpr const TypeInfo& TypeInfoOf() {
  return internal::TypeInfoHolder<std::remove_cv_t<T>>::kInfo;
}

}  // namespace tricolor

#endif  // TRICOLOR_RUNTIME_TYPE_INFO_OF_H_
