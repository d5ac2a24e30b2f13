/* Waits for a word, once, and then for short whiles. */
#include <stdio.h>
#include <unistd.h>

__attribute__((noinline)) static int waits_for_word(void) {
    char byte;
    ssize_t n = read(0, &byte, 1);
    __asm__ volatile("" ::: "memory"); /* no tail call: it is to be seen */
    return n == 1;
}

__attribute__((noinline)) static void sleeps(void) {
    usleep(10000);
    __asm__ volatile("" ::: "memory");
}

int main(void) {
    puts("ready");
    fflush(stdout);
    if (!waits_for_word()) return 1;
    for (;;) sleeps();
}
