/*
 * --blocking: hold all threads of a process while it is read. They are seized and interrupted, no signal is sent, and
 * each is let go the same way, with the signal that had just arrived for it, if one had.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "sample/python.h"

static bool hold(py_held *held, pid_t tid) {
    int status;
    for (size_t i = 0; i < held->count; i++)
        if (held->all[i].tid == tid) return false;
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0) return false;
    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
    if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) return false;
    int signal = status >> 16 ? 0 : WSTOPSIG(status); /* an event above: it stopped because we asked */
    held->all[held->count++] = (struct py_held_thread){tid, signal};
    return true;
}

/* New threads appear while the others are being stopped: look until there are none. */
void py_hold(py_held *held, pid_t pid) {
    char path[64];
    bool again = true;
    held->count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    while (again && held->count < PY_MOST_HELD) {
        again = false;
        DIR *tasks = opendir(path);
        for (struct dirent *entry; tasks && held->count < PY_MOST_HELD && (entry = readdir(tasks));) {
            pid_t tid = atoi(entry->d_name);
            if (tid > 0) again |= hold(held, tid);
        }
        if (tasks) closedir(tasks);
    }
}

void py_let_go(py_held *held) {
    while (held->count > 0) {
        struct py_held_thread *t = &held->all[--held->count];
        ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(intptr_t)t->signal); // NOLINT: the signal is a number
    }
}

int py_may_hold(pid_t pid) {
    int status;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0) return errno;
    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
    waitpid(pid, &status, __WALL);
    int signal = WIFSTOPPED(status) && !(status >> 16) ? WSTOPSIG(status) : 0;
    ptrace(PTRACE_DETACH, pid, NULL, (void *)(intptr_t)signal); // NOLINT: as above
    return 0;
}
