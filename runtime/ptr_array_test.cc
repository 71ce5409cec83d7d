// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/runtime/ptr_array.h"

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"

namespace tricolor {
namespace {

// Or memcpy, and std::copy by it, would pass by the barrier.
static_assert(!std::is_trivially_copyable_v<Ptr<int>>);

constexpr size_t kLength = 9;
int numbers[kLength];

class PtrArrayTest : public testing::Test {
 protected:
  PtrArrayTest() {
    for (size_t i = 0; i < kLength; ++i) array_[i] = &numbers[i];
  }
  // The indices of what the elements point to; -1: null.
  std::vector<ptrdiff_t> Indices() const {
    std::vector<ptrdiff_t> indices;
    for (const Ptr<int>& p : array_) {
      indices.push_back(p == nullptr ? -1 : p.get() - numbers);
    }
    return indices;
  }

  Ptr<int> array_[kLength];
};

using Expected = std::vector<ptrdiff_t>;

TEST_F(PtrArrayTest, CopiesToAnotherArray) {
  Ptr<int> other[kLength];
  CopyPtrs(other, array_, kLength);
  for (size_t i = 0; i < kLength; ++i) EXPECT_EQ(other[i], &numbers[i]);
  EXPECT_EQ(Indices(), (Expected{0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(PtrArrayTest, MovesUpOverItself) {
  MovePtrs(array_ + 2, array_, 5);
  EXPECT_EQ(Indices(), (Expected{0, 1, 0, 1, 2, 3, 4, 7, 8}));
}

TEST_F(PtrArrayTest, MovesDownOverItself) {
  MovePtrs(array_, array_ + 1, 8);
  EXPECT_EQ(Indices(), (Expected{1, 2, 3, 4, 5, 6, 7, 8, 8}));
}

TEST_F(PtrArrayTest, ClearsAPart) {
  ClearPtrs(array_ + 3, 2);
  EXPECT_EQ(Indices(), (Expected{0, 1, 2, -1, -1, 5, 6, 7, 8}));
}

TEST_F(PtrArrayTest, DoesNothingToNoElementsAndOntoItself) {
  MovePtrs(array_, array_ + 1, 0);
  CopyPtrs(array_, array_ + 1, 0);
  ClearPtrs(array_, 0);
  MovePtrs(array_, array_, kLength);
  EXPECT_EQ(Indices(), (Expected{0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

}  // namespace
}  // namespace tricolor
