// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

// Large objects are made while another thread collects all the time.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "tricolor/base/atomic.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

#ifdef ABSL_HAVE_THREAD_SANITIZER
constexpr size_t kBytes = size_t{8} << 20;  // marking is slow
#else
constexpr size_t kBytes = size_t{64} << 20;
#endif
constexpr size_t kWords = kBytes / sizeof(uint64_t);

// Has a pointer, and is looked through in less time than it is zeroed in.
struct Sparse {
  TRICOLOR_TRACE(Sparse, pointer);
  Ptr<Node> pointer;
  uint64_t rest[511];
};

// Calls Collect in a loop, on a thread of its own that is not attached.
class CollectingThread {
 public:
  explicit CollectingThread(Heap& heap)
      : thread_([this, &heap] {
          while (!done_) {
            heap.Collect();
            ++collections_;
          }
        }) {}
  ~CollectingThread() {
    done_ = true;
    thread_.join();
  }
  uint64_t collections() const { return collections_; }

 private:
  std::atomic<bool> done_{false};
  std::atomic<uint64_t> collections_{0};
  std::thread thread_;
};

// Whether all bytes are `expected`.
bool AllAre(const void* array, unsigned char expected) {
  const auto* bytes = static_cast<const unsigned char*>(array);
  return *bytes == expected && std::memcmp(bytes, bytes + 1, kBytes - 1) == 0;
}

// Word by word, atomically: a marker may be reading them.
void Fill(void* array, unsigned char content) {
  uint64_t word = 0;
  std::memset(&word, content, sizeof word);
  auto* const words = static_cast<uint64_t*>(array);
  for (size_t i = 0; i < kWords; ++i) StoreWordRelaxed(words + i, word);
}

// Allocates so much of T until several collections have gone by while it was
// done. What is written into each is no heap address, and has to be zeroed for
// the next one; a small object tells whether other memory is zeroed, too.
template <typename T>
void AllocateBesideCollections(bool exact) {
  Heap heap(exact ? ExactOptions() : QuietOptions());
  int overtaken = 0;
  {
    CollectingThread collecting(heap);
    Mutator mutator(heap);
    const Root<Node> witness(mutator, MakeList(mutator, 100));
    for (int i = 0; i < 200 && overtaken < 3; ++i) {
      const uint64_t before = collecting.collections();
      // Not NewArray, which would have constructors write it once more.
      void* array = mutator.Allocate(TypeInfoOf<T>(), kBytes / sizeof(T));
      ASSERT_NE(array, nullptr);
      if (collecting.collections() > before + 1) ++overtaken;
      ASSERT_TRUE(AllAre(array, 0)) << "object " << i;
      const Root<T> held(mutator, static_cast<T*>(array));
      const auto content = static_cast<unsigned char>(0x80 + i % 0x80);
      Fill(array, content);
      mutator.Safepoint();
      ASSERT_TRUE(AllAre(array, content)) << "object " << i;
      ASSERT_TRUE(ListIsIntact(witness.get(), 100));
    }
  }
  EXPECT_EQ(overtaken, 3);
  heap.CheckInvariants();
  heap.Collect();
  heap.Collect();
  EXPECT_EQ(heap.ReadMemStats().heap_objects, 0U);
}

TEST(LargeObjectTest, OfBytesSurvivesCollectionsWhileItIsZeroed) {
  AllocateBesideCollections<uint64_t>(/*exact=*/false);
}
TEST(LargeObjectTest, OfBytesSurvivesThemInExactMode) {
  AllocateBesideCollections<uint64_t>(/*exact=*/true);
}
TEST(LargeObjectTest, OfPointersSurvivesCollectionsWhileItIsZeroed) {
  AllocateBesideCollections<Sparse>(/*exact=*/false);
}
TEST(LargeObjectTest, OfPointersSurvivesThemInExactMode) {
  AllocateBesideCollections<Sparse>(/*exact=*/true);
}

}  // namespace
}  // namespace tricolor::runtime
