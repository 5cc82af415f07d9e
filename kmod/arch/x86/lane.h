/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Running a function on another stack, x86-64. */
#ifndef TIDELOCK_ARCH_LANE_H
#define TIDELOCK_ARCH_LANE_H

#include <asm/irq_stack.h>

/*
 * Calls func(arg) with the stack pointer below `top`. The kernel's own macro,
 * because objtool knows its shape (the variable has to be called `tos`).
 */
#define tl_call_on_stack(top, func, arg)					\
	call_on_stack((top) - 16, func, ASM_CALL_ARG1, , [arg1] "r" (arg))

#endif
