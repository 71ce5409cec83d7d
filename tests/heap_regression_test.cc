// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Programs of heap operations that mattered once, in the form in which
// //fuzz:heap_fuzz prints them. ShadowHeap is fatal when heap and model differ.

#include "gtest/gtest.h"
#include "tricolor/fuzz/shadow_heap.h"

namespace tricolor::fuzz {
namespace {

TEST(HeapRegressionTest, CyclesThroughEveryKindOfObjectAreCollected) {
  ShadowHeap heap;
  const auto kinds = static_cast<uint32_t>(ObjectKinds().size());
  for (uint32_t kind = 0; kind < kinds; ++kind) {
    heap.Allocate(kind, 2, 1);
    heap.MakeWeak(1);
    heap.AddCleanup(1);
    heap.Link(1, 0, 0, 8);
    heap.Link(0, 1, 1, 24);
    heap.CopyRoot(1, 0);
    heap.DropRoot(1);
    heap.Collect();
  }
  heap.DropRoot(0);
  heap.Collect();
}

TEST(HeapRegressionTest, StoppedCleanupsDoNotRun) {
  ShadowHeap heap;
  heap.Allocate(2, 0, 0);
  heap.AddCleanup(0);
  heap.AddCleanup(0);
  heap.StopCleanup(0);
  heap.StopCleanup(0);
  heap.DropRoot(0);
  heap.Collect();
  heap.StopCleanup(1);
}

TEST(HeapRegressionTest, FinalizersRunFromTheOutsideInAndMayBringBack) {
  ShadowHeap heap;
  heap.Allocate(2, 0, 1);
  heap.Allocate(2, 0, 2);
  heap.Link(1, 0, 2, 8);
  heap.MakeWeak(1);
  heap.MakeWeak(2);
  heap.AddCleanup(1);
  heap.SetFinalizer(1, 5);   // comes back in root 5
  heap.SetFinalizer(2, 31);  // does not
  heap.DropRoot(1);
  heap.DropRoot(2);
  heap.Collect();
  heap.CheckReachable();
  heap.SetFinalizer(5, 31);
  heap.ClearFinalizer(5);
  heap.DropRoot(5);
  heap.Collect();
  heap.Collect();
  heap.Collect();
}

TEST(HeapRegressionTest, SlotsAreReusedOnlyAfterDeath) {
  ShadowHeap heap;
  for (uint32_t round = 0; round < 8; ++round) {
    for (uint32_t root = 0; root < ShadowHeap::kRoots; ++root) {
      heap.Allocate(2, 0, root);
      heap.Link(root, 0, root + 1, 0);
      heap.AllocateGarbage(2, 200);
    }
    heap.DropRoot(round);
    heap.SetGcPercent(round);
    heap.Collect();
  }
}

}  // namespace
}  // namespace tricolor::fuzz
