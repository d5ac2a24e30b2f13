/* Known shares of CPU time in functions of a library without frame pointers, called back from there. */
#include "clock.h"

void sixty(long units);
void thirty(long units);
void ten(long units);
void each_of(void (*visit)(void *, int), void *user, int n);

static struct account *of[3];
static unsigned state = 1;

static void visited(void *user, int i) {
    static void (*const work[])(long) = {sixty, thirty, ten};
    (void)user;
    timed(of[i], work[i], uneven(20000, &state));
}

static void *work(void *unused) {
    of[0] = account("sixty");
    of[1] = account("thirty");
    of[2] = account("ten");
    for (;;) each_of(visited, unused, 3);
    return NULL;
}

int main(void) {
    open_accounts();
    return serve_accounts(work);
}
