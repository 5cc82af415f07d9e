/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Running a function on another stack, x86-64. */
#ifndef TIDELOCK_ARCH_LANE_H
#define TIDELOCK_ARCH_LANE_H

#include <linux/compiler.h>
#include <asm/irq_stack.h>

/*
 * Calls func(arg) with the stack pointer below `top`. The kernel's own macro,
 * because objtool knows its shape (the variable has to be called `tos`). The
 * argument is hidden from the optimiser: for the address of a local it may take
 * %rsp itself as the register that holds it, and %rsp has moved by then.
 */
#define tl_call_on_stack(top, func, arg)					\
do {										\
	void *hidden = (arg);							\
										\
	OPTIMIZER_HIDE_VAR(hidden);						\
	call_on_stack((top) - 16, func, ASM_CALL_ARG1, , [arg1] "r" (hidden))	\
} while (0)

#endif
