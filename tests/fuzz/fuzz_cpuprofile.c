/* cpuprofile, and with it the JSON layer. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fuzz_reader(&fg__cpuprofile, data, n);
    return 0;
}
