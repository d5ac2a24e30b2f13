/* heapprofile, nodes in nodes. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fuzz_reader(&fg__heapprofile, data, n);
    return 0;
}
