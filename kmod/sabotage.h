/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Deliberate faults, for the lab's sabotage build only: each breaks the one
 * mechanism that a demo scene tests, to prove that the scene would notice.
 * A normal build has neither the parameter nor the branches.
 */
#ifndef TIDELOCK_SABOTAGE_H
#define TIDELOCK_SABOTAGE_H

#ifdef TIDELOCK_SABOTAGE
extern char tl_sabotage[2];
#define tl_sabotaged(letter) (READ_ONCE(tl_sabotage[0]) == (letter))
#else
#define tl_sabotaged(letter) false
#endif

#endif
