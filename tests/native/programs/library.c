/* Built without frame pointers: who calls these is known to call frame information alone. */
static volatile unsigned long sink;

__attribute__((noinline)) static void burn(long n) {
    for (long i = 0; i < n; i++) sink += (unsigned long)i;
}

/* Registers that a call must keep, and an array, make the frame one that a frame pointer would be needed for. */
#define SHARE(name, times)                                                                                   \
    void name(long units) {                                                                                  \
        volatile long kept[24];                                                                              \
        for (int i = 0; i < 24; i++) kept[i] = units * (times) / 24;                                         \
        for (int i = 0; i < 24; i++) burn(kept[i]);                                                          \
    }
SHARE(sixty, 6)
SHARE(thirty, 3)
SHARE(ten, 1)

/* Calls back into the program. */
void each_of(void (*visit)(void *, int), void *user, int n) {
    volatile long kept[8];
    for (int i = 0; i < n; i++) {
        kept[i & 7] = i;
        visit(user, (int)kept[i & 7]);
    }
}
