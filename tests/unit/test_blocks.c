/* Outstanding blocks, beside a list of them; and what is kept when there are too many. */
#include <math.h>
#include "sample/blocks.h"
#include "profiles.h"

enum { ADDRESSES = 3000, STEPS = 40000 };

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void agrees_with_a_list(void **state) {
    (void)state;
    static fg__block list[ADDRESSES];
    fg_ctx *own = fg_ctx_new();
    fg__blocks blocks = {0};
    uint64_t seed = 1;
    memset(list, 0, sizeof list);
    for (uint64_t time = 1; time <= STEPS; time++) {
        size_t i = next_random(&seed) % ADDRESSES;
        uint64_t address = (i + 1) * 16;
        fg__block gone;
        if (next_random(&seed) % 2) {
            list[i] = (fg__block){address, time, next_random(&seed), (uint32_t)i};
            assert_int_equal(fg__blocks_put(own, &blocks, &list[i]), 0);
        } else {
            bool there = fg__blocks_take(&blocks, &gone, address, time);
            assert_int_equal(there, list[i].address != 0);
            if (there) assert_memory_equal(&gone, &list[i], sizeof gone);
            list[i].address = 0;
        }
    }
    size_t n = 0, at = 0;
    for (size_t i = 0; i < ADDRESSES; i++) n += list[i].address != 0;
    assert_int_equal(blocks.n, n);
    for (const fg__block *block; (block = fg__blocks_next(&blocks, &at)); n--)
        assert_memory_equal(block, &list[block->stack], sizeof *block);
    assert_int_equal(n, 0);
    fg__blocks_free(own, &blocks);
    fg_ctx_free(own);
}

static void a_release_is_older_than_what_comes_after_it(void **state) {
    (void)state;
    fg_ctx *own = fg_ctx_new();
    fg__blocks blocks = {0};
    fg__block gone;
    assert_false(fg__blocks_take(&blocks, &gone, 64, 1));
    assert_int_equal(fg__blocks_put(own, &blocks, &(fg__block){.address = 64, .time = 10, .size = 1}), 0);
    assert_false(fg__blocks_take(&blocks, &gone, 64, 9));
    assert_false(fg__blocks_take(&blocks, &gone, 0, 11));
    assert_true(fg__blocks_take(&blocks, &gone, 64, 11));
    assert_int_equal(blocks.n, 0);
    fg__blocks_free(own, &blocks);
    fg_ctx_free(own);
}

/* However many come: a bounded number, which stands for all of them. */
static void too_many_are_halved_fairly(void **state) {
    (void)state;
    enum { COMING = 100000, MOST = 2000 };
    fg_ctx *own = fg_ctx_new();
    fg__blocks blocks = {.most = MOST};
    for (uint64_t i = 1; i <= COMING; i++) {
        const fg__block block = {.address = i * 4096, .time = 1000 + i * 37, .size = i % 2 ? 10 : 1000};
        assert_int_equal(fg__blocks_put(own, &blocks, &block), 0);
        assert_true(blocks.n <= MOST);
    }
    assert_true(blocks.size <= (size_t)MOST * 4);
    assert_in_range(blocks.halved, 5, 8);
    size_t at = 0, small = 0;
    for (const fg__block *block; (block = fg__blocks_next(&blocks, &at));) small += block->size == 10;
    double each = (double)(1u << blocks.halved), error = 6 * sqrt(each * COMING / 2);
    assert_true(fabs((double)small * each - COMING / 2.0) < error);
    assert_true(fabs((double)(blocks.n - small) * each - COMING / 2.0) < error);
    fg__blocks_free(own, &blocks);
    assert_int_equal(blocks.most, MOST);
    fg_ctx_free(own);
}

static void without_memory_nothing_is_lost(void **state) {
    (void)state;
    enum { COMING = 5000 };
    for (long allowed = 0;; allowed++) {
        long left = allowed;
        fg_ctx *own = fg_ctx_new_with(failing_alloc, &left);
        fg__blocks blocks = {0};
        uint64_t i = 0;
        int err = own ? 0 : FG_ENOMEM;
        while (!err && i < COMING)
            err = fg__blocks_put(own, &blocks, &(fg__block){.address = ++i, .time = i});
        assert_int_equal(err, i < COMING || !own ? FG_ENOMEM : err);
        assert_int_equal(blocks.n, err ? (own ? i - 1 : 0) : COMING);
        if (own) fg__blocks_free(own, &blocks);
        fg_ctx_free(own);
        if (!err) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_list),
        cmocka_unit_test(a_release_is_older_than_what_comes_after_it),
        cmocka_unit_test(too_many_are_halved_fairly),
        cmocka_unit_test(without_memory_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
