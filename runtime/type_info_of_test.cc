// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/type_info_of.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tricolor/runtime/ptr.h"
#include "tricolor/runtime/trace.h"

namespace tricolor {
namespace {

using Tracing = TypeInfo::Tracing;

struct Pair {
  Ptr<Pair> first;
  int64_t weight;
  Ptr<Pair> second;
  TRICOLOR_TRACE(Pair, first, second);
};

class Private {
  TRICOLOR_TRACE(Private, next_, pairs_, count_);
  int32_t count_ = 0;
  Ptr<Private> next_;
  Pair pairs_[2];
};

struct Base {
  int64_t header;
  Ptr<Base> parent;
  TRICOLOR_TRACE(Base, parent);
};

struct Derived : Base {
  Ptr<Base> child;
  int64_t size;
  TRICOLOR_TRACE(Derived, TRICOLOR_BASE(Base), child);
};

struct Polymorphic final : Base {
  virtual int Kind() const { return 1; }
  Ptr<Base> other;
  TRICOLOR_TRACE(Polymorphic, TRICOLOR_BASE(Base), other);
};

template <typename K, typename V>
struct Entry {
  K key;
  Ptr<V> value;
  std::array<Ptr<Entry>, 3> links;
  TRICOLOR_TRACE(Entry, key, value, links);
};

struct Leaf {
  double x, y;
  TRICOLOR_TRACE(Leaf);
};

struct Unknown {
  void* p;
  int n;
};

struct Visited {
  uintptr_t tagged;
  void Trace(PointerVisitor& visitor) const {
    visitor.Visit(reinterpret_cast<const void*>(tagged & ~uintptr_t{7}));
  }
};

struct VirtuallyVisited final {
  virtual void Trace(PointerVisitor& visitor) const { visitor.Visit(pointer); }
  void* pointer = nullptr;
};

struct Big {
  Ptr<Big> first;
  char text[1000];
  Ptr<Big> last;
  TRICOLOR_TRACE(Big, first, last);
};

struct Many {
  Ptr<int> p[40];
  Ptr<int> a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, q;
  TRICOLOR_TRACE(Many, p, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, q);
};

TEST(TypeInfoOfTest, ArithmeticTypesHaveNoPointers) {
  EXPECT_EQ(TypeInfoOf<char>().tracing, Tracing::kNoPointers);
  EXPECT_EQ(TypeInfoOf<double>().tracing, Tracing::kNoPointers);
  EXPECT_EQ(TypeInfoOf<char>().size, 1u);
  EXPECT_EQ(TypeInfoOf<const double>().align, alignof(double));
}

TEST(TypeInfoOfTest, PointersAreOnePointerWord) {
  for (const TypeInfo* info :
       {&TypeInfoOf<int*>(), &TypeInfoOf<Ptr<int>>(), &TypeInfoOf<void*>(),
        &TypeInfoOf<std::atomic<int*>>()}) {
    EXPECT_EQ(info->tracing, Tracing::kBitmap) << info->name;
    EXPECT_EQ(info->size, 8u);
    EXPECT_EQ(info->pointer_words, 1u);
    EXPECT_EQ(info->bitmap[0], 1u);
  }
}

TEST(TypeInfoOfTest, NamedFieldsMakeTheMap) {
  static_assert(TypeInfoOf<Pair>().tracing == Tracing::kBitmap);
  static_assert(TypeInfoOf<Pair>().pointer_words == 3);
  EXPECT_EQ(TypeInfoOf<Pair>().bitmap[0], 0b101u);
}

TEST(TypeInfoOfTest, PrivateFieldsNestedClassesAndArraysAreFound) {
  // count_, next_, then two Pairs.
  EXPECT_EQ(TypeInfoOf<Private>().bitmap[0], 0b10110110u);
  EXPECT_EQ(TypeInfoOf<Private>().pointer_words, 8u);
}

TEST(TypeInfoOfTest, BasesKeepTheirOffsetsInTheDerivedClass) {
  EXPECT_EQ(TypeInfoOf<Base>().bitmap[0], 0b10u);
  EXPECT_EQ(TypeInfoOf<Derived>().bitmap[0], 0b110u);
  // The virtual table pointer moves the base by a word.
  EXPECT_EQ(TypeInfoOf<Polymorphic>().bitmap[0], 0b1100u);
}

TEST(TypeInfoOfTest, ClassTemplatesMayBeTraced) {
  EXPECT_EQ((TypeInfoOf<Entry<int, int>>().bitmap[0]), 0b11110u);
  EXPECT_EQ((TypeInfoOf<Entry<Ptr<int>, int>>().bitmap[0]), 0b11111u);
}

TEST(TypeInfoOfTest, NoFieldsMeansNoPointers) {
  EXPECT_EQ(TypeInfoOf<Leaf>().tracing, Tracing::kNoPointers);
}

TEST(TypeInfoOfTest, UnknownClassesAreConservative) {
  EXPECT_EQ(TypeInfoOf<Unknown>().tracing, Tracing::kConservative);
  EXPECT_EQ((TypeInfoOf<std::array<Unknown, 2>>().tracing),
            Tracing::kConservative);
}

TEST(TypeInfoOfTest, TraceMemberBecomesTheCallback) {
  ASSERT_EQ(TypeInfoOf<Visited>().tracing, Tracing::kCallback);
  struct Recorder final : PointerVisitor {
    void Visit(const void* p) override { seen = p; }
    void VisitConservatively(uintptr_t) override {}
    const void* seen = nullptr;
  } recorder;
  const Visited object{0x1005};
  TypeInfoOf<Visited>().trace(&object, recorder);
  EXPECT_EQ(recorder.seen, reinterpret_cast<const void*>(0x1000));
}

TEST(TypeInfoOfTest, ElementsThatHaveNotBeenConstructedAreNotVisited) {
  struct Recorder final : PointerVisitor {
    void Visit(const void*) override { ++visits; }
    void VisitConservatively(uintptr_t) override {}
    int visits = 0;
  } recorder;
  const TypeInfo& info = TypeInfoOf<VirtuallyVisited>();
  alignas(VirtuallyVisited)
      const unsigned char zeroed[sizeof(VirtuallyVisited)] = {};
  info.trace(zeroed, recorder);  // no virtual table to look into
  EXPECT_EQ(recorder.visits, 0);
  const VirtuallyVisited object{};
  info.trace(&object, recorder);
  EXPECT_EQ(recorder.visits, 1);
}

TEST(TypeInfoOfTest, MapsLongerThanOneWord) {
  const TypeInfo& big = TypeInfoOf<Big>();
  ASSERT_EQ(big.pointer_words, 127u);
  EXPECT_EQ(big.bitmap[0], 1u);
  EXPECT_EQ(big.bitmap[1], uint64_t{1} << 62);
  EXPECT_EQ(TypeInfoOf<Many>().pointer_words, 56u);
  EXPECT_EQ(TypeInfoOf<Many>().bitmap[0], (uint64_t{1} << 56) - 1);
}

TEST(TypeInfoOfTest, ArraysRepeatTheirElement) {
  EXPECT_EQ((TypeInfoOf<Pair[2]>().bitmap[0]), 0b101101u);
  EXPECT_EQ((TypeInfoOf<std::array<int, 9>>().tracing), Tracing::kNoPointers);
}

TEST(TypeInfoOfTest, NamesAreThoseOfTheSource) {
  EXPECT_EQ(std::string(TypeInfoOf<double>().name), "double");
  EXPECT_NE(std::string(TypeInfoOf<Pair>().name).find("Pair"),
            std::string::npos);
}

}  // namespace
}  // namespace tricolor
