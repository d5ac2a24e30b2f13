/* Locks on processes. */
#include "sys/hold.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* "1: FLOCK  ADVISORY  WRITE 26174 00:15:3208357 0 EOF"; who waits has "->" behind the number. */
static uint32_t holder_of(int fd) {
    struct stat st;
    char line[256];
    uint32_t found = 0;
    FILE *file = fstat(fd, &st) ? NULL : fopen("/proc/locks", "re");
    while (!found && file && fgets(line, sizeof line, file)) {
        unsigned pid, high, low;
        unsigned long long inode;
        if (sscanf(line, "%*d: FLOCK %*s %*s %u %x:%x:%llu", &pid, &high, &low, &inode) != 4) continue;
        if (inode == st.st_ino && high == major(st.st_dev) && low == minor(st.st_dev)) found = pid;
    }
    if (file) fclose(file);
    return found;
}

bool fg__hold_as(int fd, fg__holding how) {
    return fd < 0 || !flock(fd, LOCK_NB | (how == FG__HOLD_SHARED ? LOCK_SH : LOCK_EX)) ||
           errno != EWOULDBLOCK;
}

bool fg__hold(int *fd, uint32_t *holder, uint32_t pid, fg__holding how) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%u", pid);
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fg__hold_as(*fd, how)) return true;
    *holder = holder_of(*fd);
    close(*fd);
    *fd = -1;
    return false;
}
