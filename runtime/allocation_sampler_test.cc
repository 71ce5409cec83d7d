// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include "tricolor/mcache/allocation_sampler.h"

#include <atomic>
#include <cstdint>

#include "gtest/gtest.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/runtime_testing.h"

namespace tricolor::runtime {
namespace {

// A small heap profile: what is allocated and what of it lives, by estimate.
class Profile final : public AllocationSampler {
 public:
  void OnSample(const AllocationSample& sample) override {
    const auto bytes = static_cast<int64_t>(sample.EstimatedBytes());
    ++samples;
    last_type = sample.type;
    allocated += bytes;
    live += bytes;
    AddCleanup(static_cast<char*>(sample.object),
               [this, bytes] { live -= bytes; });
  }
  std::atomic<int64_t> samples{0};
  std::atomic<int64_t> allocated{0};
  std::atomic<int64_t> live{0};
  std::atomic<const TypeInfo*> last_type{nullptr};
};

HeapOptions SampledOptions(uint64_t rate) {
  HeapOptions options = ExactOptions();
  options.cleanup_thread = false;
  options.profile_rate_bytes = rate;
  return options;
}

TEST(AllocationSamplerTest, ACleanupTellsOfTheDeathOfASampledObject) {
  Profile profile;
  Heap heap(SampledOptions(1));
  EXPECT_EQ(heap.SetAllocationSampler(&profile), nullptr);
  Mutator mutator(heap);
  Root<Node> kept(mutator, mutator.New<Node>());
  EXPECT_EQ(profile.last_type, &TypeInfoOf<Node>());
  const int64_t node = profile.live;
  EXPECT_GE(node, int64_t{sizeof(Node)});
  mutator.New<Node>();
  mutator.New<Large>();
  EXPECT_EQ(profile.last_type, &TypeInfoOf<Large>());
  EXPECT_EQ(profile.samples, 3);
  EXPECT_GE(profile.live, 2 * node + int64_t{sizeof(Large)});
  heap.Collect();
  heap.RunCleanups();
  EXPECT_EQ(profile.live, node);
  EXPECT_EQ(heap.SetAllocationSampler(nullptr), &profile);
  mutator.New<Node>();
  EXPECT_EQ(profile.samples, 3);
}

TEST(AllocationSamplerTest, ThreadsThatComeLaterAreSampledToo) {
  Profile profile;
  Heap heap(SampledOptions(1));
  Mutator first(heap);
  first.New<Leaf>();
  heap.SetAllocationSampler(&profile);
  OnOtherThread([&heap] {
    Mutator second(heap);
    second.New<Leaf>();
  });
  first.New<Leaf>();
  EXPECT_EQ(profile.samples, 2);
}

TEST(AllocationSamplerTest, AtRateZeroNothingIsSampled) {
  Profile profile;
  Heap heap(SampledOptions(0));
  heap.SetAllocationSampler(&profile);
  Mutator mutator(heap);
  for (int i = 0; i < 20; ++i) mutator.New<Large>();
  EXPECT_EQ(profile.samples, 0);
}

TEST(AllocationSamplerTest, ByDefaultOneByteInHalfAMegabyteIsSampled) {
  Profile profile;
  HeapOptions options = SampledOptions(HeapOptions().profile_rate_bytes);
  EXPECT_EQ(options.profile_rate_bytes, uint64_t{512} << 10);
  Heap heap(options);
  heap.SetAllocationSampler(&profile);
  Mutator mutator(heap);
  // 256 MiB: 512 samples are expected, and 6 standard deviations are 136.
  for (int i = 0; i < 64; ++i) {
    for (int n = 0; n < (4 << 20) / int{sizeof(Leaf)}; ++n) mutator.New<Leaf>();
    heap.Collect();
  }
  heap.RunCleanups();
  EXPECT_GT(profile.samples, 512 - 136);
  EXPECT_LT(profile.samples, 512 + 136);
  EXPECT_EQ(profile.live, 0);
}

}  // namespace
}  // namespace tricolor::runtime
