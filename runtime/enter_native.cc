// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// tricolor_enter_native and its kind in assembly: they have no prologue, so
// that the registers that they store are their caller's.

#include <cstddef>

#include "tricolor/runtime/stack_scan.h"
#include "tricolor/runtime/world.h"

namespace tricolor::runtime {

// The assembly knows these offsets.
static_assert(offsetof(StackSnapshot, registers) == 0);
static_assert(offsetof(StackSnapshot, stack_pointer) ==
              StackSnapshot::kRegisters * 8);
static_assert(offsetof(MutatorContext, stack) == 0);

// Where the assembly goes on. They return to its caller.
extern "C" __attribute__((visibility("hidden"), used)) void
tricolor_finish_enter_native(MutatorContext* context) {
  context->world->FinishEnterNative(*context);
}

extern "C" __attribute__((visibility("hidden"), used)) void
tricolor_finish_shade_own(MutatorContext* context) {
  context->world->FinishShadeOwn(*context);
}

extern "C" __attribute__((visibility("hidden"), used)) void
tricolor_finish_switch_stack(StackSnapshot*, MutatorContext* context,
                             StackRecord* to) {
  context->world->SwitchStack(*context, *to);
}

}  // namespace tricolor::runtime

// `name` stores the registers into its first argument, a StackSnapshot, and
// goes on at `finish` with all of its arguments.
// clang-format off
#if defined(__x86_64__)
#define TRICOLOR_SNAPSHOT_FUNCTION(name, finish)                               \
  asm(".text\n"                                                                \
      ".globl " #name "\n"                                                     \
      ".type " #name ", @function\n"                                           \
      ".p2align 4\n"                                                           \
      #name ":\n"                                                              \
      ".cfi_startproc\n"                                                       \
      "movq %rbx, 0(%rdi)\n"                                                   \
      "movq %rbp, 8(%rdi)\n"                                                   \
      "movq %r12, 16(%rdi)\n"                                                  \
      "movq %r13, 24(%rdi)\n"                                                  \
      "movq %r14, 32(%rdi)\n"                                                  \
      "movq %r15, 40(%rdi)\n"                                                  \
      "leaq 8(%rsp), %rax\n"                                                   \
      "movq %rax, 48(%rdi)\n"                                                  \
      "jmp " #finish "\n"                                                      \
      ".cfi_endproc\n"                                                         \
      ".size " #name ", . - " #name)
#elif defined(__aarch64__)
#define TRICOLOR_SNAPSHOT_FUNCTION(name, finish)                               \
  asm(".text\n"                                                                \
      ".globl " #name "\n"                                                     \
      ".type " #name ", %function\n"                                           \
      ".p2align 4\n"                                                           \
      #name ":\n"                                                              \
      ".cfi_startproc\n"                                                       \
      "stp x19, x20, [x0, 0]\n"                                                \
      "stp x21, x22, [x0, 16]\n"                                               \
      "stp x23, x24, [x0, 32]\n"                                               \
      "stp x25, x26, [x0, 48]\n"                                               \
      "stp x27, x28, [x0, 64]\n"                                               \
      "str x29, [x0, 80]\n"                                                    \
      "stp d8, d9, [x0, 88]\n"                                                 \
      "stp d10, d11, [x0, 104]\n"                                              \
      "stp d12, d13, [x0, 120]\n"                                              \
      "stp d14, d15, [x0, 136]\n"                                              \
      "mov x9, sp\n"                                                           \
      "str x9, [x0, 152]\n"                                                    \
      "b " #finish "\n"                                                        \
      ".cfi_endproc\n"                                                         \
      ".size " #name ", . - " #name)
#endif
// clang-format on

TRICOLOR_SNAPSHOT_FUNCTION(tricolor_enter_native, tricolor_finish_enter_native);
TRICOLOR_SNAPSHOT_FUNCTION(tricolor_shade_own, tricolor_finish_shade_own);
TRICOLOR_SNAPSHOT_FUNCTION(tricolor_switch_stack, tricolor_finish_switch_stack);

#undef TRICOLOR_SNAPSHOT_FUNCTION
