/* Fixed work in three functions, a fraction of a second; parse does it as often as the argument says. */
#include <stdlib.h>

static volatile unsigned sink;

#define FUNCTION(name)                                                                                       \
    __attribute__((noinline)) static void name(void) {                                                       \
        unsigned x = sink;                                                                                   \
        for (unsigned long i = 0; i < 40000000; i++) x = x * 1664525u + 1013904223u;                         \
        sink = x;                                                                                            \
    }
FUNCTION(lex)
FUNCTION(parse)
FUNCTION(emit)

int main(int argc, char **argv) {
    long parses = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    lex();
    for (long i = 0; i < parses; i++) parse();
    emit();
    return 0;
}
