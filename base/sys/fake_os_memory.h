// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// OsMemory for tests and fuzzers: hands out memory of a real OsMemory, keeps
// the state of every address (os_memory.h has the four states), stops the
// program at a call that the state does not allow, at a touch of memory that
// is not Ready, and at memory left behind; and fails on demand.
//
// Thread-safe. Its own bookkeeping is on the C++ heap.
// INV-SYS-1: pieces cover all memory that is not None, without overlap; two
// that touch differ in state or reservation; the counts are their sums.
// Cost: a call is O(log pieces) and, while touches are checked, an mprotect.

#ifndef TRICOLOR_BASE_SYS_FAKE_OS_MEMORY_H_
#define TRICOLOR_BASE_SYS_FAKE_OS_MEMORY_H_

#include <cstdint>
#include <map>

#include "absl/base/thread_annotations.h"
#include "tricolor/base/mutex.h"
#include "tricolor/base/os_memory.h"
#include "tricolor/base/units.h"

namespace tricolor {

enum class OsState : uint8_t { kNone, kReserved, kPrepared, kReady };

// The calls of OsMemory. The first four can fail.
enum class OsCall : uint8_t {
  kReserve,
  kMap,
  kUsed,
  kUnused,
  kHugePage,
  kNoHugePage,
  kFree,
};
inline constexpr int kOsCallCount = 7;

struct FakeOsMemoryOptions {
  // A power of two that is at least the real page size.
  ByteCount page_size{4 << 10};
  ByteCount huge_page_size{2 << 20};
  // When false, memory that is used again after Unused is full of kJunk.
  bool unused_memory_is_zero = true;
  // A touch of memory that is not Ready faults.
  bool protect = true;
  // The destructor is fatal when memory was not freed; otherwise it frees it.
  bool check_leaks = true;
};

class FakeOsMemory : public OsMemory {
 public:
  static constexpr unsigned char kJunk = 0xdb;

  // On ProcessMemory().
  explicit FakeOsMemory(const FakeOsMemoryOptions& options = {});
  // `real` outlives this.
  FakeOsMemory(OsMemory& real, const FakeOsMemoryOptions& options);
  ~FakeOsMemory() override;
  FakeOsMemory(const FakeOsMemory&) = delete;
  FakeOsMemory& operator=(const FakeOsMemory&) = delete;

  ByteCount page_size() const override { return options_.page_size; }
  ByteCount huge_page_size() const override { return options_.huge_page_size; }
  bool unused_memory_is_zero() const override {
    return options_.unused_memory_is_zero;
  }
  Addr Reserve(ByteCount size, ByteCount alignment) override;
  bool Map(AddrRange range) override;
  bool Used(AddrRange range) override;
  bool Unused(AddrRange range) override;
  // Counted and checked, but not passed on.
  void HugePage(AddrRange range) override;
  void NoHugePage(AddrRange range) override;
  void Free(AddrRange range) override;

  // Failures. Each counts only calls that can fail and that FailOnly selects;
  // the next such call has the number 1. The ways to fail add up.

  // The k-th call from now fails, once.
  void FailAfter(uint64_t k);
  // The k-th call from now and all later ones fail.
  void FailFrom(uint64_t k);
  // From now on each call fails with this probability, 0..1.
  void FailRandomly(uint64_t seed, double probability);
  // Selects the one kind of call that FailAfter, FailFrom and FailRandomly
  // count and fail.
  void FailOnly(OsCall call);
  // Ends the effect of all of the above.
  void StopFailing();
  // Used fails when it would make more bytes Ready than this.
  void SetReadyLimit(ByteCount limit);

  // What happened since construction.
  uint64_t calls(OsCall call) const;
  // Calls that can fail.
  uint64_t fallible_calls() const;
  // Calls that failed, on demand or because the real system refused.
  uint64_t failures() const;

  // Now.
  OsState StateOf(Addr addr) const;
  ByteCount bytes_in(OsState state) const;
  ByteCount reserved_bytes() const { return bytes_in(OsState::kReserved); }
  ByteCount prepared_bytes() const { return bytes_in(OsState::kPrepared); }
  ByteCount ready_bytes() const { return bytes_in(OsState::kReady); }

  void set_check_leaks(bool check);
  // Fatal when INV-SYS-1 does not hold.
  void CheckInvariants() const;

 private:
  // A run of addresses; its key in the map is its base.
  struct Piece {
    Addr limit;
    uint64_t reservation;
    OsState state;
    bool junk;  // Prepared by Unused, and to be filled with junk by Used

    bool Like(const Piece& other) const {
      return reservation == other.reservation && state == other.state &&
             junk == other.junk;
    }
  };
  using Pieces = std::map<Addr, Piece>;

  static constexpr uint64_t kNever = ~uint64_t{0};

  void CheckUnits(const char* call, AddrRange range) const;
  // Fatal unless `range` lies in one reservation and each address of it is in
  // a state that `allowed`, a mask with bit 1 << state, has. Returns the piece
  // that contains its base.
  Pieces::iterator CheckStates(const char* call, AddrRange range,
                               unsigned allowed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool ShouldFail(OsCall call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Count(OsCall call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Notes a failure that is not one of ShouldFail's; returns false.
  bool Refused() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sets the state of a range; kNone forgets it.
  void SetState(Pieces::iterator first, AddrRange range, OsState state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes a piece begin at `addr`, which `piece` contains; returns it.
  Pieces::iterator SplitAt(Pieces::iterator piece, Addr addr)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void JoinWithNeighbors(Pieces::iterator piece)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ByteCount NotReadyBytes(Pieces::iterator first, AddrRange range) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FillWithJunk(Pieces::iterator first, AddrRange range)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ByteCount& BytesIn(OsState state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return bytes_[static_cast<int>(state)];
  }

  OsMemory& real_;
  FakeOsMemoryOptions options_;

  mutable Mutex mutex_{LockRank::kOsMemory};
  Pieces pieces_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_reservation_ ABSL_GUARDED_BY(mutex_) = 1;
  ByteCount bytes_[4] ABSL_GUARDED_BY(mutex_);
  uint64_t calls_[kOsCallCount] ABSL_GUARDED_BY(mutex_) = {};
  uint64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;

  // Counts down to the call that fails; kNever when none is to.
  uint64_t until_single_ ABSL_GUARDED_BY(mutex_) = kNever;
  uint64_t until_all_ ABSL_GUARDED_BY(mutex_) = kNever;
  uint64_t random_state_ ABSL_GUARDED_BY(mutex_) = 0;
  // Fails when the upper 32 random bits are below this; at most 2^32.
  uint64_t random_threshold_ ABSL_GUARDED_BY(mutex_) = 0;
  // Bit 1 << call of each kind that may fail on demand.
  unsigned failing_kinds_ ABSL_GUARDED_BY(mutex_);
  ByteCount ready_limit_ ABSL_GUARDED_BY(mutex_){~uint64_t{0}};
};

// Calls body(os) with a new fake whose first fallible call fails, then with one
// whose second call fails and so on, until a run meets no failure. Returns the
// number of runs that did. `body` must not depend on anything but the fake.
template <typename Body>
uint64_t ForEachOsFailure(const Body& body,
                          const FakeOsMemoryOptions& options = {}) {
  for (uint64_t k = 1;; ++k) {
    FakeOsMemory os(options);
    os.FailAfter(k);
    body(os);
    os.CheckInvariants();
    if (os.failures() == 0) return k - 1;
  }
}

}  // namespace tricolor

#endif  // TRICOLOR_BASE_SYS_FAKE_OS_MEMORY_H_
