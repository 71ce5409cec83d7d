// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a program pays: allocation, collections, stops.
//
// New<T>'s fast path is inline. Compiled with clang 19 -O2 for x86-64, for a
// class of 16 bytes with one Ptr, it is
//
//   mov  processor, [mutator]        cmp  end, [run limit]
//   mov  slot, [run next]            ja   slow
//   lea  end, [slot + 16]            mov  [run next], end
//   cmp  [run's pointer bits], 1     jne  other bits
//
// eight instructions, with no lock, no call and no atomic read-modify-write;
// then comes the constructor. Without pointers it is the first six.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

#include "benchmark/benchmark.h"
#include "tricolor/base/atomic.h"
#include "tricolor/runtime/heap.h"
#include "tricolor/runtime/heap_core.h"

namespace tricolor::runtime {
namespace {

template <size_t bytes>
struct Object {
  TRICOLOR_TRACE(Object, next);
  Ptr<Object> next;
  unsigned char rest[bytes - sizeof(Ptr<Object>)];
};

template <size_t bytes>
struct PlainObject {
  TRICOLOR_TRACE(PlainObject);
  uint64_t words[bytes / 8];
};

HeapOptions Options() {
  HeapOptions options;
  options.debug = "";
  return options;
}

// Allocation of garbage, with the collections that it causes.
template <typename T>
void BM_New(benchmark::State& state) {
  Heap heap(Options());
  Mutator mutator(heap);
  for (auto _ : state) benchmark::DoNotOptimize(mutator.New<T>());
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(sizeof(T)));
  state.counters["collections"] =
      static_cast<double>(heap.ReadMemStats().num_gc);
}
BENCHMARK(BM_New<Object<16>>);
BENCHMARK(BM_New<Object<64>>);
BENCHMARK(BM_New<Object<512>>);
BENCHMARK(BM_New<PlainObject<16>>);
BENCHMARK(BM_New<PlainObject<64>>);
BENCHMARK(BM_New<PlainObject<512>>);
BENCHMARK(BM_New<PlainObject<4096>>);
BENCHMARK(BM_New<PlainObject<65536>>);

// For an interpreter: the type is not known at compile time.
void BM_AllocateDynamic(benchmark::State& state) {
  Heap heap(Options());
  Mutator mutator(heap);
  const TypeInfo* type = &TypeInfoOf<Object<64>>();
  benchmark::DoNotOptimize(type);
  for (auto _ : state) benchmark::DoNotOptimize(mutator.Allocate(*type));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_AllocateDynamic);

// So many threads that each allocate 100000 objects of 64 bytes in one heap.
void BM_NewThreads(benchmark::State& state) {
  constexpr int64_t kObjects = 100000;
  Heap heap(Options());
  for (auto _ : state) {
    std::vector<std::thread> threads;
    for (int64_t t = 0; t < state.range(0); ++t) {
      threads.emplace_back([&heap] {
        Mutator mutator(heap);
        for (int64_t i = 0; i < kObjects; ++i) {
          benchmark::DoNotOptimize(mutator.New<Object<64>>());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * kObjects);
}
BENCHMARK(BM_NewThreads)->Arg(1)->Arg(2)->Arg(4)->UseRealTime();

void BM_Malloc(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    void* p = std::malloc(bytes);
    benchmark::DoNotOptimize(p);
    std::free(p);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Malloc)->Arg(16)->Arg(64)->Arg(512);

void BM_Root(benchmark::State& state) {
  Heap heap(Options());
  Mutator mutator(heap);
  Object<16>* object = mutator.New<Object<16>>();
  for (auto _ : state) {
    Root<Object<16>> root(mutator, object);
    benchmark::DoNotOptimize(root.get());
  }
}
BENCHMARK(BM_Root);

// Arrays of 1000 pointers, while no heap marks: words as they are, with the
// barrier's one test, and with a test for each element.
struct PointerArrays {
  static constexpr size_t kLength = 1000;
  Atomic<int*> words[2][kLength];
  Ptr<int> ptrs[2][kLength];
};

void BM_CopyWords(benchmark::State& state) {
  static PointerArrays arrays;
  for (auto _ : state) {
    for (size_t i = 0; i < PointerArrays::kLength; ++i) {
      arrays.words[1][i].StoreRelaxed(arrays.words[0][i].LoadRelaxed());
    }
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_CopyWords);

void BM_CopyPtrs(benchmark::State& state) {
  static PointerArrays arrays;
  for (auto _ : state) {
    CopyPtrs(arrays.ptrs[1], arrays.ptrs[0], PointerArrays::kLength);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_CopyPtrs);

void BM_StdCopyPtrs(benchmark::State& state) {
  static PointerArrays arrays;
  for (auto _ : state) {
    std::copy_n(arrays.ptrs[0], PointerArrays::kLength, arrays.ptrs[1]);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_StdCopyPtrs);

void BM_WeakGet(benchmark::State& state) {
  Heap heap(Options());
  Mutator mutator(heap);
  Object<16>* object = mutator.New<Object<16>>();
  Weak<Object<16>> weak(object);
  for (auto _ : state) benchmark::DoNotOptimize(weak.Get());
  benchmark::DoNotOptimize(object);
}
BENCHMARK(BM_WeakGet);

void BM_NativeScope(benchmark::State& state) {
  Heap heap(Options());
  Mutator mutator(heap);
  for (auto _ : state) {
    Mutator::NativeScope native(mutator);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_NativeScope);

void BM_AttachDetach(benchmark::State& state) {
  Heap heap(Options());
  for (auto _ : state) Mutator mutator(heap);
}
BENCHMARK(BM_AttachDetach);

// A whole forced collection of a list of so many nodes.
void BM_Collect(benchmark::State& state) {
  Heap heap(Options());
  Mutator mutator(heap);
  Root<Object<64>> list;
  for (int64_t i = 0; i < state.range(0); ++i) {
    Object<64>* node = mutator.New<Object<64>>();
    node->next = list.get();
    list = node;
  }
  for (auto _ : state) heap.Collect();
  const MemStats stats = heap.ReadMemStats();
  state.counters["pause_us"] = static_cast<double>(stats.pause_total_ns) / 1e3 /
                               static_cast<double>(stats.num_gc);
}
BENCHMARK(BM_Collect)->Arg(0)->Arg(1000)->Arg(100000)->UseRealTime();

// From the request to stop until the world runs again, with threads that do
// nothing but poll.
void BM_StopLatency(benchmark::State& state) {
  Heap heap(Options());
  World& world = heap.core().world();
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < state.range(0); ++i) {
    threads.emplace_back([&] {
      Mutator mutator(heap);
      while (!done.load(std::memory_order_relaxed)) mutator.Safepoint();
    });
  }
  while (world.mutator_count() != threads.size()) std::this_thread::yield();
  for (auto _ : state) {
    world.Stop();
    world.Start();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}
BENCHMARK(BM_StopLatency)->Arg(0)->Arg(1)->Arg(4)->UseRealTime();

// A flush that the collector makes for so many threads in native code, as a
// handshake does; an item is a thread.
void BM_HandshakeNative(benchmark::State& state) {
  Heap heap(Options());
  World& world = heap.core().world();
  std::atomic<int64_t> native{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < state.range(0); ++i) {
    threads.emplace_back([&] {
      Mutator mutator(heap);
      Mutator::NativeScope scope(mutator);
      ++native;
      done.wait(false);
    });
  }
  while (native != state.range(0)) std::this_thread::yield();
  for (auto _ : state) {
    world.Stop();
    world.RequestFlush();
    world.Start();
    const auto start = std::chrono::steady_clock::now();
    world.FinishFlush();
    state.SetIterationTime(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
            .count());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  done = true;
  done.notify_all();
  for (std::thread& thread : threads) thread.join();
}
BENCHMARK(BM_HandshakeNative)->Arg(10)->Arg(100)->Arg(1000)->UseManualTime();

// The value that so much of the distribution lies below; sorts.
double Quantile(std::vector<double>& values, double part) {
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(part * last)];
}

// Rounds that a thread has gone.
struct alignas(64) Rounds {
  std::atomic<uint64_t> count{0};
};

// From the request to stop until the world is stopped, with so many threads
// that neither allocate nor poll: a signal stops them. All have run since the
// last stop. Microseconds.
void BM_PreemptLatency(benchmark::State& state) {
  Heap heap(Options());
  World& world = heap.core().world();
  std::atomic<bool> done{false};
  std::vector<Rounds> rounds(static_cast<size_t>(state.range(0)));
  std::vector<std::thread> threads;
  for (Rounds& own : rounds) {
    threads.emplace_back([&heap, &done, &own] {
      Mutator mutator(heap);
      for (uint64_t i = 1; !done.load(std::memory_order_relaxed); ++i) {
        own.count.store(i, std::memory_order_relaxed);
      }
    });
  }
  std::vector<double> delays;
  for (auto _ : state) {
    for (const Rounds& each : rounds) {
      const uint64_t before = each.count.load(std::memory_order_relaxed);
      while (each.count.load(std::memory_order_relaxed) == before) {
        std::this_thread::yield();
      }
    }
    const auto start = std::chrono::steady_clock::now();
    world.Stop();
    const std::chrono::duration<double, std::micro> delay =
        std::chrono::steady_clock::now() - start;
    world.Start();
    delays.push_back(delay.count());
    state.SetIterationTime(delay.count() / 1e6);
  }
  state.counters["median_us"] = Quantile(delays, 0.5);
  state.counters["p99_us"] = Quantile(delays, 0.99);
  state.counters["max_us"] = Quantile(delays, 1);
  done = true;
  for (std::thread& thread : threads) thread.join();
}
BENCHMARK(BM_PreemptLatency)
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->UseManualTime()
    ->Iterations(300);

}  // namespace
}  // namespace tricolor::runtime
