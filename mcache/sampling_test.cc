// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tricolor/base/test_random.h"
#include "tricolor/mcache/allocate-inl.h"
#include "tricolor/mcache/mcache_test_fixture.h"

namespace tricolor::mcache {
namespace {

class NotingSampler final : public AllocationSampler {
 public:
  void OnSample(const AllocationSample& sample) override {
    samples.push_back(sample);
  }
  std::vector<AllocationSample> samples;
};

class SamplingTest : public MCacheTest {
 protected:
  void Start(uint64_t rate, uint64_t seed) {
    cache_->SetSampling({.sampler = &sampler_, .rate = rate, .seed = seed});
  }
  // Everything dies.
  void Cycle() {
    cache_->ParkRuns();
    ASSERT_TRUE(t_.heap.mark_bit_arenas().Rotate());
    t_.heap.AdvanceSweepGen();
    cache_->PrepareForSweep();
    while (MSpan* span = t_.PopUnswept()) {
      span->set_sweep_gen(sg());
      t_.heap.FreeSpan(t_.processor, span);
    }
  }

  NotingSampler sampler_;
};

// Of `objects` of `bytes` each.
struct Mixture {
  TypeInfo type;
  uint64_t objects;
  double bytes = 0;     // that were allocated, in whole slots
  double variance = 0;  // of the estimate
  double estimate = 0;
};

// Objects are allocated in turns, runs are given back in the middle, and
// nevertheless each size has its share.
TEST_F(SamplingTest, TheEstimateIsTrueForEachSizeOfAMixture) {
  constexpr uint64_t kRate = 16 << 10;
  Mixture mixtures[] = {
      {NoPointers(16, 8), 600000}, {WithBitmap(24), 300000},
      {WithBitmap(512), 20000},    {Conservative(1000), 10000},
      {NoPointers(9000, 8), 1500}, {NoPointers(40000, 8), 400},
      {Conservative(100000), 150}, {NoPointers(1 << 20, 8), 20},
  };
  const uint64_t seed = TestSeed();
  Start(kRate, seed);
  TestRandom random(seed);
  for (uint64_t round = 0; round < 100; ++round) {
    for (Mixture& m : mixtures) {
      const uint64_t from = m.objects * round / 100;
      for (uint64_t n = m.objects * (round + 1) / 100 - from; n > 0; --n) {
        void* object = cache_->Allocate(m.type, 1);
        ASSERT_NE(object, nullptr);
        const auto bytes = static_cast<double>(SpanOf(object)->slot_size());
        const double chance = -std::expm1(-bytes / kRate);
        m.bytes += bytes;
        m.variance += bytes * bytes * (1 - chance) / chance;
        if (random.OneIn(200)) cache_->ReleaseAll();
      }
    }
    Cycle();
  }
  for (const AllocationSample& sample : sampler_.samples) {
    ASSERT_EQ(sample.rate, kRate);
    for (Mixture& m : mixtures) {
      if (sample.type == &m.type) m.estimate += sample.EstimatedBytes();
    }
  }
  for (const Mixture& m : mixtures) {
    // Six standard deviations: once in 10^8 runs with other seeds.
    EXPECT_NEAR(m.estimate, m.bytes, 6 * std::sqrt(m.variance) + 1)
        << "objects of " << m.type.size << " bytes";
  }
}

TEST_F(SamplingTest, TinyBlocksAreSampledAsBlocks) {
  constexpr uint64_t kRate = 4096;
  constexpr int kBlocks = 200000;
  Start(kRate, 1);
  for (int i = 0; i < 2 * kBlocks; ++i) cache_->AllocateTiny(8, 8);
  double estimate = 0;
  for (const AllocationSample& sample : sampler_.samples) {
    EXPECT_EQ(sample.type, nullptr);
    EXPECT_EQ(sample.bytes, 16u);
    estimate += sample.EstimatedBytes();
  }
  const double chance = -std::expm1(-16.0 / kRate);
  EXPECT_NEAR(estimate, kBlocks * 16.0,
              6 * std::sqrt(kBlocks * 16.0 * 16.0 * (1 - chance) / chance));
}

TEST_F(SamplingTest, AtRateOneEveryObjectIsReportedOnce) {
  Start(1, 0);
  std::vector<void*> objects;
  for (int i = 0; i < 1000; ++i) {
    for (const TypeInfo* type : {&kBitmapType, &kHeaderType}) {
      objects.push_back(cache_->Allocate(*type, 1));
    }
    objects.push_back(
        AllocateFixed<FixedLayoutFor(kBitmapType)>(*cache_, kBitmapType));
    objects.push_back(
        AllocateFixed<FixedLayoutFor(kHeaderType)>(*cache_, kHeaderType));
    if (i % 100 == 0) objects.push_back(cache_->Allocate(kLargeType, 1));
  }
  ASSERT_EQ(sampler_.samples.size(), objects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    const AllocationSample& sample = sampler_.samples[i];
    EXPECT_EQ(sample.object, objects[i]);
    EXPECT_EQ(sample.bytes, SpanOf(objects[i])->slot_size());
    EXPECT_EQ(sample.EstimatedBytes(), static_cast<double>(sample.bytes));
  }
}

// What a sampler may rely on.
class CheckingSampler final : public AllocationSampler {
 public:
  explicit CheckingSampler(mheap::MHeap& heap) : heap_(heap) {}
  void OnSample(const AllocationSample& sample) override {
    const Addr object(sample.object);
    MSpan* span = heap_.HeapSpanOf(object);
    const uint32_t index = span->IndexOf(object);
    ASSERT_FALSE(span->IsFree(index));
    switch (span->span_class().kind()) {
      case SpanKind::kPointerBitmap:
        EXPECT_EQ(span->PointerBits(index), 0b101u);
        break;
      case SpanKind::kTypeHeader:
        EXPECT_EQ(span->is_large()
                      ? span->large_type()
                      : *span->SlotAddress(index).as<const TypeInfo*>(),
                  sample.type);
        break;
      case SpanKind::kNoScan:
        break;
    }
    ++calls;
  }
  int calls = 0;

 private:
  mheap::MHeap& heap_;
};

TEST_F(SamplingTest, ASampledObjectHasItsType) {
  CheckingSampler sampler(t_.heap);
  cache_->SetSampling({.sampler = &sampler, .rate = 1});
  for (int i = 0; i < 100; ++i) {
    for (const TypeInfo* type :
         {&kBitmapType, &kHeaderType, &kLargeType, &kNoScanType}) {
      cache_->Allocate(*type, 1);
    }
    AllocateFixed<FixedLayoutFor(kBitmapType)>(*cache_, kBitmapType);
    AllocateFixed<FixedLayoutFor(kHeaderType)>(*cache_, kHeaderType);
  }
  EXPECT_GE(sampler.calls, 500);
}

TEST_F(SamplingTest, NothingIsSampledWhenItIsOff) {
  const auto allocate = [this] {
    for (int i = 0; i < 1000; ++i) {
      cache_->Allocate(kBitmapType, 1);
      cache_->AllocateTiny(8, 8);
    }
    cache_->Allocate(kLargeType, 1);
  };
  allocate();
  Start(0, 1);
  allocate();
  cache_->SetSampling({.sampler = nullptr, .rate = 1});
  allocate();
  EXPECT_TRUE(sampler_.samples.empty());
  Start(1, 1);
  cache_->Allocate(kBitmapType, 1);
  EXPECT_EQ(sampler_.samples.size(), 1u) << "even if a run was under way";
  cache_->SetSampling({});
  allocate();
  EXPECT_EQ(sampler_.samples.size(), 1u);
}

TEST_F(SamplingTest, TheSameSeedChoosesTheSameObjects) {
  std::vector<int> chosen[3];
  for (int run = 0; run < 3; ++run) {
    Start(4096, run < 2 ? 7 : 8);
    for (int i = 0; i < 20000; ++i) {
      const size_t before = sampler_.samples.size();
      cache_->Allocate(kBitmapType, 1);
      if (sampler_.samples.size() != before) chosen[run].push_back(i);
    }
  }
  EXPECT_GT(chosen[0].size(), 100u);
  EXPECT_EQ(chosen[0], chosen[1]);
  EXPECT_NE(chosen[0], chosen[2]);
}

TEST_F(SamplingTest, SamplingCanBeginAndEndWhileACycleMarks) {
  New(kClass);
  cache_->ParkRuns();
  cache_->set_allocate_black(true);
  New(kClass);
  Start(1, 1);
  cache_->CheckInvariants();
  void* object = New(kClass);
  EXPECT_TRUE(SpanOf(object)->IsMarked(IndexOf(object)));
  EXPECT_EQ(sampler_.samples.size(), 1u);
  cache_->SetSampling({});
  cache_->CheckInvariants();
}

}  // namespace
}  // namespace tricolor::mcache
