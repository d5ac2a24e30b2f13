/*
 * Whose turn it is with a process. Whoever changes one for the while (its inspector, tracemalloc, jemalloc's profile) and
 * changes it back at the end would take it away from another who came meanwhile and found it changed.
 *
 * The lock is flock(2) on the folder of the process in /proc: nothing is left behind, the number of a process that has ended
 * means nobody else, and all users of the machine see it. Another mount of /proc (a container's) has locks of its own.
 */
#ifndef FG_SYS_HOLD_H
#define FG_SYS_HOLD_H

#include <stdbool.h>
#include <stdint.h>

typedef enum fg__holding {
    FG__HOLD_ALONE,
    FG__HOLD_SHARED, /* nothing is changed: others may be there that do not either */
} fg__holding;

/*
 * Hold a process: true, and *fd is to be closed when it is over; -1 where there is no such process or it cannot be locked,
 * which others tell better. False: another holds it; *holder is the number of that process, 0 where it cannot be told.
 */
bool fg__hold(int *fd, uint32_t *holder, uint32_t pid, fg__holding how);
/* From now on, hold it so; false: another came first, and it is not held any more (but *fd is still to be closed). */
bool fg__hold_as(int fd, fg__holding how);

#endif
