/* The default allocator: blocks keep their bytes when they grow and shrink, from malloc's to mappings and back. */
#include "profiles.h"
#include "core/memory.h"

static void fill(uint8_t *block, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) block[i] = (uint8_t)(i * 2654435761u >> 13);
}

static void assert_filled(const uint8_t *block, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (block[i] != (uint8_t)(i * 2654435761u >> 13)) fail_msg("byte %zu of %zu is lost", i, n);
}

static void blocks_keep_their_bytes(void **state) {
    (void)state;
    static const size_t sizes[] = {1,       100,     70000,   2097151,  2097152, 2097153, 4194288,
                                   4194289, 9000000, 9000001, 33554432, 5000000, 3000000, 2097152,
                                   2000000, 10,      8000000, 3,        0};
    uint8_t *block = NULL;
    size_t had = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        block = fg__default_alloc(NULL, block, sizes[i]);
        assert_int_equal(block == NULL, sizes[i] == 0);
        if (!block) break;
        assert_int_equal((uintptr_t)block % _Alignof(max_align_t), 0);
        assert_filled(block, had < sizes[i] ? had : sizes[i]);
        fill(block, 0, sizes[i]);
        had = sizes[i];
    }
}

static void many_large_blocks_are_apart(void **state) {
    (void)state;
    enum { BLOCKS = 20 };
    uint8_t *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = fg__default_alloc(NULL, NULL, (size_t)3 << 20);
        fill(blocks[i], 0, (size_t)3 << 20);
    }
    for (size_t i = 0; i < BLOCKS; i += 2) {
        blocks[i] = fg__default_alloc(NULL, blocks[i], (size_t)7 << 20);
        fill(blocks[i], (size_t)3 << 20, (size_t)7 << 20);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_filled(blocks[i], (i % 2 ? (size_t)3 : (size_t)7) << 20);
        assert_null(fg__default_alloc(NULL, blocks[i], 0));
    }
}

/* Where nobody writes zeros, there are zeros: in mappings that others have had before, too. */
static void zeroed_blocks_are_zero(void **state) {
    (void)state;
    static const size_t sizes[] = {100, 2097151, 2097152, 5000000};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i / 2];
        uint8_t *block = fg__calloc(ctx, size, 1);
        for (size_t at = 0; at < size; at++)
            if (block[at]) fail_msg("byte %zu of %zu is not 0", at, size);
        fill(block, 0, size);
        fg_free(ctx, block);
    }
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    assert_null(fg__default_alloc(NULL, NULL, SIZE_MAX));
    assert_null(fg__default_alloc(NULL, NULL, SIZE_MAX / 2));
    uint8_t *block = fg__default_alloc(NULL, NULL, (size_t)4 << 20);
    fill(block, 0, (size_t)4 << 20);
    assert_null(fg__default_alloc(NULL, block, SIZE_MAX - 100));
#ifndef FG_SANITIZED /* which ends the program instead */
    assert_null(fg__default_alloc(NULL, block, (size_t)1 << 55));
#endif
    assert_filled(block, (size_t)4 << 20); /* as realloc: the block is still there */
    fg__default_alloc(NULL, block, 0);
    fg__default_alloc(NULL, NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_their_bytes),
        cmocka_unit_test(many_large_blocks_are_apart),
        cmocka_unit_test(zeroed_blocks_are_zero),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
