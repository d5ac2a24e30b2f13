/*
 * Ctrl-C. The first signal asks: it is counted, the loop wakes, and those who wait end early. The second
 * insists: who waits is told, so that everything is put away in order; who computes is ended on the spot, as
 * is everybody by the third. Signals are the process's, not the loop's: this is the one place in the library
 * with state of its own.
 */
#include <errno.h>
#include "sys/op.h"

static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static struct {
    fg__signals *volatile loop;
    volatile sig_atomic_t count;
    struct sigaction before[NUMBERS];
} caught;

static void on_signal(int number) {
    int error = errno;
    caught.count = caught.count + 1;
    fg__signals *loop = caught.loop;
    if (caught.count >= 3 || (caught.count == 2 && !(loop && loop->waiting))) {
        signal(number, SIG_DFL);
        raise(number); /* it is delivered when this handler returns */
    } else if (loop) {
        uv_async_send(&loop->wake);
    }
    errno = error;
}

static void give_back(void) {
    for (int i = 0; i < NUMBERS; i++) sigaction(numbers[i], &caught.before[i], NULL);
    caught.loop = NULL;
}

static void take(fg__signals *loop) {
    caught.count = 0;
    caught.loop = loop;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < NUMBERS; i++) {
        sigaction(numbers[i], NULL, &caught.before[i]);
        if (caught.before[i].sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL); /* nohup, shell's & */
    }
}

int fg__loop_signals(fg__loop *loop, bool on) {
    fg__signals *state = fg__loop_signal_state(loop);
    if (state->caught == on) return 0;
    if (on && caught.loop) return FG_EUNSUPPORTED;
    state->caught = on;
    if (on) {
        take(state);
    } else {
        give_back();
    }
    return 0;
}

int fg__loop_interrupts(const fg__loop *loop) {
    return fg__loop_signal_state((fg__loop *)loop)->caught ? (int)caught.count : 0;
}
