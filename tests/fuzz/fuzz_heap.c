/* Heap profiles of jemalloc and gperftools. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fuzz_reader(&fg__heap, data, n);
    return 0;
}
