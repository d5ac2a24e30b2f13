/* Known shares of CPU time in code that is made while running (x86-64), told by /tmp/perf-PID.map. */
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>
#include "clock.h"

static void (*compiled[3])(long);

/* push rbp; mov rbp, rsp; imul rdi, rdi, TIMES; loop: dec rdi; jnz loop; pop rbp; ret */
static size_t compile(uint8_t *at, uint8_t times) {
    const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x6b, 0xff, times,
                            0x48, 0xff, 0xcf, 0x75, 0xfb, 0x5d, 0xc3};
    memcpy(at, code, sizeof code);
    return sizeof code;
}

static void compile_all(void) {
    static const struct {
        const char *name;
        uint8_t times;
    } rows[] = {{"sixty", 6}, {"thirty", 3}, {"ten", 1}};
    char path[64];
    uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(path, "w");
    if (code == MAP_FAILED || !map) exit(1);
    for (int i = 0; i < 3; i++) {
        uint8_t *at = code + 64 * i;
        fprintf(map, "%lx %zx %s\n", (unsigned long)at, compile(at, rows[i].times), rows[i].name);
        memcpy(&compiled[i], &at, sizeof at);
    }
    fclose(map);
    if (mprotect(code, 4096, PROT_READ | PROT_EXEC)) exit(1);
}

static void *work(void *unused) {
    struct account *of[] = {account("sixty"), account("thirty"), account("ten")};
    unsigned state = 1;
    for (;;)
        for (int i = 0; i < 3; i++) timed(of[i], compiled[i], uneven(60000, &state));
    return unused;
}

int main(void) {
    open_accounts();
    compile_all();
    return serve_accounts(work);
}
