/* The profile inside a picture: it comes back exactly, and damaged bytes are refused. */
#include "profiles.h"
#include "payloads.h"

/* Two types, frames with all fields, metadata of each kind, notes, an empty stack, a stack of zeros. */
static fg_profile *rich(void) {
    fg_profile *p = new_profile("cpu", "nanoseconds");
    assert_int_equal(fg_profile_add_type(p, "samples", "count"), 0);
    const fg_frame frames[] = {
        {.name = "main", .file = "/srv/main.c", .module = "app", .line = 12, .kind = FG_KIND_NATIVE},
        {.name = "main", .file = "/srv/main.c", .module = "app", .line = 4000000000u, .kind = FG_KIND_NATIVE},
        {.name = "", .kind = FG_KIND_KERNEL},
        {.name = "タスク", .file = "a.py", .kind = FG_KIND_PYTHON},
    };
    uint32_t ids[4];
    for (size_t i = 0; i < 4; i++) assert_int_equal(fg_profile_frame(&ids[i], p, &frames[i]), 0);
    assert_int_equal(
        fg_profile_add(p, (uint32_t[]){ids[0], ids[1], ids[2]}, 3, (int64_t[]){INT64_MAX - 9, 1}), 0);
    assert_int_equal(fg_profile_add(p, (uint32_t[]){ids[0], ids[1]}, 2, (int64_t[]){0, 300}), 0);
    assert_int_equal(fg_profile_add(p, (uint32_t[]){ids[3]}, 1, (int64_t[]){0, 0}), 0);
    assert_int_equal(fg_profile_add(p, NULL, 0, (int64_t[]){3, 0}), 0);
    fg_meta_set_text(p, "target", "an app");
    fg_meta_set_number(p, "start", -5);
    fg_meta_set_number(p, "duration", 30000000000);
    fg_meta_set_real(p, "factor", 0.1);
    fg_profile_note(p, "a note of %d", 1);
    p->annotations = 1u << FG_KIND_KERNEL;
    return p;
}

static int decode(fg_profile **out, const void *bytes, size_t n, uint64_t max) {
    fg_profile *p;
    assert_int_equal(fg_profile_new(&p, ctx), 0);
    int err = fg__payload_decode(p, bytes, n, max);
    if (err)
        fg_profile_free(p);
    else
        *out = p;
    return err;
}

static fg_profile *there_and_back(fg_profile *p, unsigned flags) {
    void *bytes;
    size_t n;
    fg_profile *q;
    assert_int_equal(encode_payload(&bytes, &n, p, flags, "extra"), 0);
    assert_int_equal(decode(&q, bytes, n, 0), 0);
    fg_free(ctx, bytes);
    return q;
}

static void a_profile_comes_back_exactly(void **state) {
    (void)state;
    fg_profile *p = rich(), *q = there_and_back(p, 0);
    char *text = strdup(text_of(p));
    assert_string_equal(text_of(q), text);
    free(text);
    assert_int_equal(fg_profile_frame_count(q), fg_profile_frame_count(p));
    for (uint32_t i = 0; i < fg_profile_frame_count(p); i++) {
        fg_frame a = fg_profile_frame_at(p, i), b = fg_profile_frame_at(q, i);
        assert_string_equal(a.name, b.name);
        assert_string_equal(a.file, b.file);
        assert_string_equal(a.module, b.module);
        assert_int_equal(a.line, b.line);
        assert_int_equal(a.kind, b.kind);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(fg_profile_type(p, i).name, fg_profile_type(q, i).name);
        assert_string_equal(fg_profile_type(p, i).unit, fg_profile_type(q, i).unit);
    }
    int type;
    const char *key;
    for (size_t i = 0; (key = fg_meta_key(i, &type)); i++) {
        assert_string_equal(fg_meta_text(p, key), fg_meta_text(q, key));
        assert_int_equal(fg_meta_number(p, key), fg_meta_number(q, key));
        assert_true(fg_meta_real(p, key) == fg_meta_real(q, key));
    }
    assert_string_equal(fg_profile_note_at(q, 0), "a note of 1");
    assert_null(fg_profile_note_at(q, 1));
    assert_int_equal(q->annotations, p->annotations);
    fg_profile_free(p);
    fg_profile_free(q);
}

static void a_reversed_profile_is_turned_back(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count"), *turned;
    add(p, "a;b;c", 3);
    add(p, "a;b", 2);
    add(p, "d;c", 1);
    assert_int_equal(fg_profile_invert(&turned, p), 0);
    fg_profile *q = there_and_back(turned, FG__PAYLOAD_REVERSED);
    assert_string_equal(text_of(q), "a;b 2\na;b;c 3\nd;c 1\n");
    fg_profile_free(p);
    fg_profile_free(turned);
    fg_profile_free(q);
}

/* Cut short it is an error; with a bit changed it is one or another profile, but never a crash. */
static void damage_is_refused(void **state) {
    (void)state;
    fg_profile *p = rich(), *q;
    void *bytes;
    size_t n;
    assert_int_equal(encode_payload(&bytes, &n, p, 0, ""), 0);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut + 1); /* on its own, so that reading beyond it is seen */
        memcpy(copy, bytes, cut);
        assert_int_equal(decode(&q, copy, cut, 0), FG_EFORMAT);
        free(copy);
    }
    for (size_t bit = 0; bit < 8 * n; bit++) {
        ((uint8_t *)bytes)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int err = decode(&q, bytes, n, 1 << 20);
        assert_true(err == 0 || err == FG_EFORMAT || err == FG_ELIMIT || err == FG_EUNSUPPORTED);
        if (!err) fg_profile_free(q);
        ((uint8_t *)bytes)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    fg_free(ctx, bytes);
    fg_profile_free(p);
}

static void a_newer_version_says_so(void **state) {
    (void)state;
    fg_profile *q;
    assert_int_equal(decode(&q, "FGPROF\2\0", 8, 0), FG_EUNSUPPORTED);
    assert_non_null(strstr(fg_error(ctx), "version 2"));
    assert_int_equal(decode(&q, "FGPROF\1\0", 8, 0), FG_EFORMAT);
}

/* 20,000 frames deep with a stack at each depth: 200 million frames from a few bytes. */
static void what_grows_beyond_the_cap_is_refused(void **state) {
    (void)state;
    enum { DEPTH = 20000 };
    fg_profile *p = new_profile("samples", "count"), *q;
    uint32_t *frames = calloc(DEPTH, sizeof *frames);
    assert_int_equal(fg_profile_frame(&frames[0], p, &(fg_frame){.name = "f"}), 0);
    for (size_t n = 1; n <= DEPTH; n += DEPTH - 1)
        assert_int_equal(fg_profile_add(p, frames, n, (int64_t[]){1}), 0);
    void *bytes;
    size_t n;
    assert_int_equal(encode_payload(&bytes, &n, p, 0, ""), 0);
    assert_int_equal(decode(&q, bytes, n, 1000), FG_ELIMIT);
    assert_non_null(strstr(fg_error(ctx), "max_input"));
    assert_int_equal(decode(&q, bytes, n, 70000),
                     FG_ELIMIT); /* the bytes fit, the stack of 80,000 bytes does not */
    assert_int_equal(decode(&q, bytes, n, 100000), 0);
    fg_profile_free(q);
    fg_free(ctx, bytes);
    fg_profile_free(p);
    free(frames);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    fg_profile *p = rich();
    void *bytes;
    size_t n;
    assert_int_equal(encode_payload(&bytes, &n, p, 0, ""), 0);
    int err = FG_ENOMEM;
    for (long fail = 0; err; fail++) {
        long left = fail;
        fg_ctx *c = fg_ctx_new_with(failing_alloc, &left);
        fg_profile *q;
        if (!c) continue;
        err = fg_profile_new(&q, c);
        if (!err) {
            err = fg__payload_decode(q, bytes, n, 0);
            if (!err) {
                void *again;
                size_t m;
                err = encode_payload(&again, &m, q, 0, "");
                if (!err) fg_free(c, again);
            }
            fg_profile_free(q);
        }
        assert_true(err == 0 || err == FG_ENOMEM);
        fg_ctx_free(c);
    }
    fg_free(ctx, bytes);
    fg_profile_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_comes_back_exactly),
        cmocka_unit_test(a_reversed_profile_is_turned_back),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(a_newer_version_says_so),
        cmocka_unit_test(what_grows_beyond_the_cap_is_refused),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
