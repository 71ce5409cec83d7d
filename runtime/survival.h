// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether an object survived the last cycle, as far as marks and sweep
// generations say, at any moment and without waiting: for Weak::Get.
//
// Go counterpart: the checks of getOrAddWeakHandle's reader in mheap.go.
// Takes no lock, does not wait; any thread.

#ifndef TRICOLOR_RUNTIME_SURVIVAL_H_
#define TRICOLOR_RUNTIME_SURVIVAL_H_

#include <optional>

#include "tricolor/base/units.h"
#include "tricolor/mheap/mheap.h"

namespace tricolor::runtime {

// Of the object at `target`, whose weak serial was still its own: false when it
// is dead; true when it is alive if its serial is still its own now; nothing
// when that cannot be told at this moment. docs/runtime.md has the argument.
std::optional<bool> SurvivedLastCycle(const mheap::MHeap& heap, Addr target);

}  // namespace tricolor::runtime

#endif  // TRICOLOR_RUNTIME_SURVIVAL_H_
