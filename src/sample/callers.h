/*
 * Callers by two ways: the kernel's walk along frame pointers, and the innermost frames by call frame information from a
 * small copy of the stack.
 *
 *   main ─▶ work ─▶ qsort ─▶ compare          of these qsort has no frame pointer
 *
 *   frame pointers    compare, qsort, main    … and so work is missed, because qsort left its frame pointer in place
 *   the copy          compare, qsort, work    … and there it ends
 *
 * A leaf, a system call's wrapper or a function that has not set up its frame hides its caller in the same way.
 */
#ifndef FG_SAMPLE_CALLERS_H
#define FG_SAMPLE_CALLERS_H

#include "core/core.h"

/* What is copied of each stack for that, and how many frames are looked for in it. */
enum { FG__CALLERS_COPY = 1024, FG__CALLERS_NEAR = 24 };

/*
 * Put what the copy knows (`near`, innermost first) before what is left of `chain`, whose `n` addresses become the return
 * value, at most `most`. `whole`: near ends with the outermost frame, and the chain has nothing to add.
 */
size_t fg__callers_join(uint64_t *chain, size_t n, size_t most, const uint64_t *near, size_t near_n,
                        bool whole);

#endif
