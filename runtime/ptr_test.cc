// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/ptr.h"

#include <utility>

#include "gtest/gtest.h"

namespace tricolor {
namespace {

struct Animal {
  int legs = 4;
};
struct Dog : Animal {
  int tricks = 1;
};

TEST(PtrTest, StartsNullAndHoldsWhatIsStored) {
  Ptr<Animal> p;
  EXPECT_EQ(p, nullptr);
  EXPECT_FALSE(p);
  Animal animal;
  p = &animal;
  EXPECT_TRUE(p);
  EXPECT_EQ(p.get(), &animal);
  EXPECT_EQ(p->legs, 4);
  EXPECT_EQ((*p).legs, 4);
  p = nullptr;
  EXPECT_EQ(p.get(), nullptr);
  p = &animal;
  p = {};
  EXPECT_EQ(p.get(), nullptr);
}

TEST(PtrTest, CopiesAndComparesByIdentity) {
  Animal a, b;
  Ptr<Animal> p(&a);
  Ptr<Animal> q = p;
  EXPECT_EQ(p, q);
  q = &b;
  EXPECT_NE(p, q);
  q = p;
  EXPECT_EQ(q, &a);
  Ptr<Animal> moved = std::move(q);
  EXPECT_EQ(moved, &a);
}

TEST(PtrTest, ConvertsFromDerivedToBase) {
  Dog dog;
  Ptr<Dog> derived(&dog);
  Ptr<Animal> base(derived);
  EXPECT_EQ(base, &dog);
  base = nullptr;
  base = derived;
  EXPECT_EQ(base->legs, 4);
  Ptr<const Animal> constant(derived);
  EXPECT_EQ(constant->legs, 4);
  Ptr<void> any(derived);
  EXPECT_EQ(any.get(), &dog);
}

}  // namespace
}  // namespace tricolor
