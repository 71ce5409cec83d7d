// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// tricolor_enter_native and its kind in assembly: they have no
// prologue, so that the registers that they store are their caller's.

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

#if defined(__x86_64__)
asm(R"(
  .text
  .globl tricolor_enter_native
  .type tricolor_enter_native, @function
  .p2align 4
tricolor_enter_native:
  .cfi_startproc
  movq %rbx, 0(%rdi)
  movq %rbp, 8(%rdi)
  movq %r12, 16(%rdi)
  movq %r13, 24(%rdi)
  movq %r14, 32(%rdi)
  movq %r15, 40(%rdi)
  leaq 8(%rsp), %rax
  movq %rax, 48(%rdi)
  jmp tricolor_finish_enter_native
  .cfi_endproc
  .size tricolor_enter_native, . - tricolor_enter_native
  .globl tricolor_shade_own
  .type tricolor_shade_own, @function
  .p2align 4
tricolor_shade_own:
  .cfi_startproc
  movq %rbx, 0(%rdi)
  movq %rbp, 8(%rdi)
  movq %r12, 16(%rdi)
  movq %r13, 24(%rdi)
  movq %r14, 32(%rdi)
  movq %r15, 40(%rdi)
  leaq 8(%rsp), %rax
  movq %rax, 48(%rdi)
  jmp tricolor_finish_shade_own
  .cfi_endproc
  .size tricolor_shade_own, . - tricolor_shade_own
  .globl tricolor_switch_stack
  .type tricolor_switch_stack, @function
  .p2align 4
tricolor_switch_stack:
  .cfi_startproc
  movq %rbx, 0(%rdi)
  movq %rbp, 8(%rdi)
  movq %r12, 16(%rdi)
  movq %r13, 24(%rdi)
  movq %r14, 32(%rdi)
  movq %r15, 40(%rdi)
  leaq 8(%rsp), %rax
  movq %rax, 48(%rdi)
  jmp tricolor_finish_switch_stack
  .cfi_endproc
  .size tricolor_switch_stack, . - tricolor_switch_stack
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl tricolor_enter_native
  .type tricolor_enter_native, %function
  .p2align 4
tricolor_enter_native:
  .cfi_startproc
  stp x19, x20, [x0, 0]
  stp x21, x22, [x0, 16]
  stp x23, x24, [x0, 32]
  stp x25, x26, [x0, 48]
  stp x27, x28, [x0, 64]
  str x29, [x0, 80]
  stp d8, d9, [x0, 88]
  stp d10, d11, [x0, 104]
  stp d12, d13, [x0, 120]
  stp d14, d15, [x0, 136]
  mov x9, sp
  str x9, [x0, 152]
  b tricolor_finish_enter_native
  .cfi_endproc
  .size tricolor_enter_native, . - tricolor_enter_native
  .globl tricolor_shade_own
  .type tricolor_shade_own, %function
  .p2align 4
tricolor_shade_own:
  .cfi_startproc
  stp x19, x20, [x0, 0]
  stp x21, x22, [x0, 16]
  stp x23, x24, [x0, 32]
  stp x25, x26, [x0, 48]
  stp x27, x28, [x0, 64]
  str x29, [x0, 80]
  stp d8, d9, [x0, 88]
  stp d10, d11, [x0, 104]
  stp d12, d13, [x0, 120]
  stp d14, d15, [x0, 136]
  mov x9, sp
  str x9, [x0, 152]
  b tricolor_finish_shade_own
  .cfi_endproc
  .size tricolor_shade_own, . - tricolor_shade_own
  .globl tricolor_switch_stack
  .type tricolor_switch_stack, %function
  .p2align 4
tricolor_switch_stack:
  .cfi_startproc
  stp x19, x20, [x0, 0]
  stp x21, x22, [x0, 16]
  stp x23, x24, [x0, 32]
  stp x25, x26, [x0, 48]
  stp x27, x28, [x0, 64]
  str x29, [x0, 80]
  stp d8, d9, [x0, 88]
  stp d10, d11, [x0, 104]
  stp d12, d13, [x0, 120]
  stp d14, d15, [x0, 136]
  mov x9, sp
  str x9, [x0, 152]
  b tricolor_finish_switch_stack
  .cfi_endproc
  .size tricolor_switch_stack, . - tricolor_switch_stack
)");
#endif
