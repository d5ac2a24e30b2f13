/* nettrace: see fuzz.h. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fuzz_reader(&fg__nettrace_format, data, n);
    return 0;
}
