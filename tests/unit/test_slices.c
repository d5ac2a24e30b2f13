/* Slices of time: the log, what it is carried by, and the noise that is drawn from it. */
#include <math.h>
#include "core/stats.h"
#include "core/noise.h"
#include "payloads.h"
#include "profiles.h"

/* A generator of its own: Knuth's MMIX. Between 0 and 1. */
static double random_share(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / (double)(1ull << 53);
}

static int64_t poisson(uint64_t *state, double mean) {
    double limit = exp(-mean), product = 1;
    int64_t n = -1;
    do {
        product *= random_share(state);
        n++;
    } while (product > limit);
    return n;
}

/* ---- the log ------------------------------------------------------------------------------------------- */

enum { STACKS = 5, MS = 1000000 };

/* Samples of stack i % STACKS, one each `step`, from `from` on. */
static fg_profile *logged(int samples, int64_t from, int64_t step) {
    fg_profile *p = new_profile("samples", "count");
    fg__slices slices = {0};
    char name[32];
    for (int i = 0; i < STACKS; i++) {
        snprintf(name, sizeof name, "main;f%d", i);
        add(p, name, samples / STACKS);
    }
    for (int i = 0; i < samples; i++)
        assert_int_equal(fg__slices_add(&slices, ctx, from + i * step, (uint32_t)(i % STACKS), 1), 0);
    assert_int_equal(fg__slices_keep(&slices, p, 0, NULL), 0);
    fg__slices_free(&slices, ctx);
    return p;
}

/* What the slices sum up to, in those of the reference: by division. */
static void check_log(const fg_profile *p, int samples, int64_t step) {
    double seconds;
    size_t n = fg_profile_slices(p, &seconds);
    int64_t length = llround(seconds * 1e9);
    static int64_t expected[FG__SLICES_MOST][STACKS], found[FG__SLICES_MOST][STACKS];
    memset(expected, 0, sizeof expected);
    memset(found, 0, sizeof found);
    for (int i = 0; i < samples; i++)
        if (i * step / length < (int64_t)n) expected[i * step / length][i % STACKS]++;
    for (size_t i = 0; i < p->part_count; i++) found[p->parts[i].run][p->parts[i].stack] += p->parts[i].value;
    assert_memory_equal(expected, found, sizeof found);
}

static void slices_grow_with_time(void **state) {
    (void)state;
    static const struct {
        int samples;
        int64_t step;
        size_t slices;
        double seconds;
    } rows[] = {
        {1001, 5 * MS, 50, 0.1}, {2001, 10 * MS, 50, 0.4}, {20001, 10 * MS, 62, 3.2}, {75, 10 * MS, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fg_profile *p = logged(rows[i].samples, -77 * MS, rows[i].step);
        double seconds;
        assert_int_equal(fg_profile_slices(p, &seconds), rows[i].slices);
        assert_true(fabs(seconds - rows[i].seconds) < 1e-9);
        if (rows[i].slices) check_log(p, rows[i].samples, rows[i].step);
        fg_profile_free(p);
    }
}

static void wild_moments_are_taken(void **state) {
    (void)state;
    fg__slices s = {0};
    static const int64_t moments[] = {0, INT64_MIN, INT64_MAX, -1, 5, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++)
        assert_int_equal(fg__slices_add(&s, ctx, moments[i], (uint32_t)i, INT64_MAX), 0);
    assert_int_equal(fg__slices_span(&s, ctx, INT64_MIN, INT64_MAX, 1, 1000), 0);
    assert_true((uint64_t)INT64_MAX / s.length < FG__SLICES_MOST);
    fg__slices_free(&s, ctx);
}

static void a_span_is_spread_over_its_slices(void **state) {
    (void)state;
    fg__slices s = {0};
    assert_int_equal(fg__slices_span(&s, ctx, 0, 950 * MS, 0, 950), 0);
    assert_int_equal(s.n, 10);
    int64_t sum = 0;
    for (size_t i = 0; i < s.n; i++) {
        assert_in_range(s.entries[i].value, i < 9 ? 99 : 49, i < 9 ? 101 : 51);
        sum += s.entries[i].value;
    }
    assert_int_equal(sum, 950);
    assert_int_equal(fg__slices_span(&s, ctx, 420 * MS, 420 * MS, 1, 7), 0);
    assert_int_equal(s.n, 11);
    assert_int_equal(s.entries[10].run, 4);
    assert_int_equal(s.entries[10].value, 7);
    fg__slices_free(&s, ctx);
}

/* ---- readers ------------------------------------------------------------------------------------------- */

static fg_profile *parsed(const char *text, bool slices) {
    fg_profile *p;
    fg_read_options options = {.size = sizeof options, .name = "input", .slices = slices};
    assert_int_equal(fg_parse(&p, ctx, text, strlen(text), &options), 0);
    return p;
}

/* Two seconds: `a` in the first, `b` in the second; nobody keeps slices who was not asked to. */
static void check_halves(const char *text, int64_t each) {
    fg_profile *p = parsed(text, false), *half;
    assert_int_equal(fg_profile_slices(p, NULL), 0);
    assert_int_equal(p->part_count, 0);
    fg_profile_free(p);
    p = parsed(text, true);
    double seconds;
    size_t n = fg_profile_slices(p, &seconds);
    assert_in_range(n, 18, 20);
    assert_true(seconds == 0.1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fg_profile_slice(&half, p, i ? 11 : 1, 8), 0);
        assert_int_equal(fg_profile_stack_count(half), 1);
        size_t depth;
        const uint32_t *stack = fg_profile_stack(half, 0, &depth);
        assert_string_equal(fg_profile_frame_at(half, stack[depth - 1]).name, i ? "b" : "a");
        assert_in_range(fg_profile_total(half, 0), each * 9 / 10, each * 11 / 10);
        fg_profile_free(half);
    }
    fg_profile_free(p);
}

static void readers_keep_slices_when_asked(void **state) {
    (void)state;
    char text[16384];
    size_t n = 0;
    for (int i = 0; i <= 40; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "prog 1 [0] %d.%06d: 7 cycles:\n\t          7f3a20 %s+0x4 (/bin/x)\n\n",
                              5 + i / 20, i % 20 * 50000, i < 20 ? "a" : "b");
    check_halves(text, 16 * 7);
    n = (size_t)snprintf(
        text, sizeof text,
        "{\"nodes\":[{\"id\":1,\"callFrame\":{\"functionName\":\"(root)\"},\"children\":[2,3]},"
        "{\"id\":2,\"callFrame\":{\"functionName\":\"a\",\"url\":\"x.js\"}},"
        "{\"id\":3,\"callFrame\":{\"functionName\":\"b\",\"url\":\"x.js\"}}],"
        "\"startTime\":0,\"endTime\":2050000,\"samples\":[2");
    for (int i = 1; i <= 40; i++) n += (size_t)snprintf(text + n, sizeof text - n, ",%d", i < 20 ? 2 : 3);
    n += (size_t)snprintf(text + n, sizeof text - n, "],\"timeDeltas\":[50000");
    for (int i = 1; i <= 40; i++) n += (size_t)snprintf(text + n, sizeof text - n, ",50000");
    snprintf(text + n, sizeof text - n, "]}");
    check_halves(text, 800 * MS);
    check_halves(
        "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\","
        "\"shared\":{\"frames\":[{\"name\":\"a\"},{\"name\":\"b\"}]},"
        "\"profiles\":[{\"type\":\"evented\",\"name\":\"t\",\"unit\":\"milliseconds\",\"startValue\":0,"
        "\"endValue\":2000,\"events\":[{\"type\":\"O\",\"at\":0,\"frame\":0},"
        "{\"type\":\"C\",\"at\":1000,\"frame\":0},{\"type\":\"O\",\"at\":1000,\"frame\":1},"
        "{\"type\":\"C\",\"at\":2000,\"frame\":1}]}]}",
        800 * MS);
}

static void a_trace_of_dotnet_has_slices(void **state) {
    (void)state;
    fg_profile *p;
    fg_read_options options = {.size = sizeof options, .slices = true};
    assert_int_equal(fg_read(&p, ctx, FG_TEST_DATA "/dotnet-8.nettrace.gz", &options), 0);
    double seconds, sliced = 0;
    size_t n = fg_profile_slices(p, &seconds);
    for (size_t i = 0; i < p->part_count; i++) sliced += (double)p->parts[i].value;
    double duration = (double)fg_meta_number(p, "duration") / 1e9;
    if (duration > 1) {
        assert_true(fabs((double)n * seconds - duration) <= seconds + 0.01);
        assert_in_range(sliced, (double)fg_profile_total(p, 1) * 0.8, (double)fg_profile_total(p, 1));
    } else {
        assert_true(n <= 10);
    }
    fg_profile_free(p);
}

/* ---- what carries it ----------------------------------------------------------------------------------- */

static int no_main(void *user, const fg_frame *frame) {
    (void)user;
    return strcmp(frame->name, "main") == 0 ? FG_FRAME_HIDE : 0;
}

/* A hit each 10 ms, from `from` on, as V8 writes it: both times are on the clock of its process. */
static fg_profile *thread_of(const char *name, int samples, long from_ms) {
    char text[8192];
    int n = snprintf(text, sizeof text,
                     "{\"nodes\":[{\"id\":1,\"callFrame\":{\"functionName\":\"(root)\"},\"children\":[2]},"
                     "{\"id\":2,\"callFrame\":{\"functionName\":\"%s\",\"url\":\"x.js\"}}],"
                     "\"startTime\":%ld000,\"endTime\":%ld000,\"samples\":[2",
                     name, from_ms, from_ms + 10L * samples);
    for (int i = 1; i < samples; i++) n += snprintf(text + n, sizeof text - (size_t)n, ",2");
    n += snprintf(text + n, sizeof text - (size_t)n, "],\"timeDeltas\":[0");
    for (int i = 1; i < samples; i++) n += snprintf(text + n, sizeof text - (size_t)n, ",10000");
    snprintf(text + n, sizeof text - (size_t)n, "]}");
    return parsed(text, true);
}

/* Two seconds of one, half of that later one second of another, and at the end a moment of a third. */
static void threads_are_summed_by_their_clock(void **state) {
    (void)state;
    fg_profile *of[] = {thread_of("b", 101, 6000), thread_of("a", 201, 5000), thread_of("c", 31, 6700)};
    fg_profile *sum, *slice;
    static const int64_t ms[][3] = {{1000, 0, 0},
                                    {900, 900, 200}}; /* of a, b, c in slices 0 to 9, 11 to 19 */
    assert_int_equal(fg_profile_slices(of[2], NULL), 0);
    assert_int_equal(fg_profile_merge(&sum, of, 3), 0);
    assert_int_equal(fg_profile_slices(sum, NULL), 0); /* nobody said that their clock is the same */
    assert_int_equal(fg_meta_number(sum, "duration"), 3330 * (int64_t)MS);
    fg_profile_free(sum);
    assert_int_equal(fg__profile_merge_threads(&sum, of, 3), 0);
    assert_in_range(fg_profile_slices(sum, NULL), 19, 20);
    assert_in_range(fg_meta_number(sum, "duration"), 2010 * (int64_t)MS, 2020 * (int64_t)MS);
    for (int half = 0; half < 2; half++) {
        assert_int_equal(fg_profile_slice(&slice, sum, half ? 11 : 0, half ? 9 : 10), 0);
        for (uint32_t i = 0; i < fg_profile_stack_count(slice); i++) {
            size_t depth;
            const uint32_t *stack = fg_profile_stack(slice, i, &depth);
            int64_t known = ms[half][fg_profile_frame_at(slice, stack[depth - 1]).name[0] - 'a'];
            assert_true(known > 0);
            assert_in_range(slice->values[0][i], (known - 130) * MS, (known + 130) * MS);
        }
        assert_int_equal(fg_profile_stack_count(slice), half ? 3 : 1);
        fg_profile_free(slice);
    }
    fg_profile_free(sum);
    for (int i = 0; i < 3; i++) fg_profile_free(of[i]);
}

/* They were recorded at the same time, whether it is known when or not. */
static void threads_do_not_add_up_how_long_it_took(void **state) {
    (void)state;
    static const int64_t ms[] = {2900, 3000, 0}; /* 0: not known */
    fg_profile *of[3], *sum;
    for (int i = 0; i < 3; i++) {
        of[i] = new_profile("cpu", "nanoseconds");
        if (ms[i]) fg_meta_set_number(of[i], "duration", ms[i] * MS);
    }
    assert_int_equal(fg__profile_merge_threads(&sum, of, 3), 0);
    assert_int_equal(fg_meta_number(sum, "duration"), ms[1] * MS);
    fg_profile_free(sum);
    for (int i = 0; i < 3; i++) fg_profile_free(of[i]);
}

static void what_is_made_of_a_profile_has_its_slices(void **state) {
    (void)state;
    fg_profile *p = logged(1001, 0, 5 * MS), *filtered, *read, *slice;
    fg_filter filter = {.size = sizeof filter, .classify = no_main};
    assert_int_equal(fg_profile_filter(&filtered, p, &filter), 0);
    assert_int_equal(fg_profile_slices(filtered, NULL), 50);
    check_log(filtered, 1001, 5 * MS);
    void *bytes;
    size_t n;
    assert_int_equal(encode_payload(&bytes, &n, filtered, 0, ""), 0);
    assert_int_equal(fg_profile_new(&read, ctx), 0);
    assert_int_equal(fg__payload_decode(read, bytes, n, 0), 0);
    double seconds;
    assert_int_equal(fg_profile_slices(read, &seconds), 50);
    assert_true(seconds == 0.1);
    check_log(read, 1001, 5 * MS);
    assert_int_equal(fg_profile_slice(&slice, read, 3, 2), 0);
    assert_string_equal(text_of(slice), "f0 8\nf1 8\nf2 8\nf3 8\nf4 8\n");
    fg_profile_free(slice);
    assert_int_equal(fg_profile_slice(&slice, read, 49, 2), FG_EINVAL);
    fg_free(ctx, bytes);
    fg_profile_free(read);
    fg_profile_free(filtered);
    fg_profile_free(p);
}

/* ---- noise --------------------------------------------------------------------------------------------- */

enum { SLICES = 60 };

/*
 * f0 and f1, `mean` samples a slice each; with `burst`, f0 is that many times as much in a third of the time, in stretches
 * of 4 slices, and less in the rest.
 */
static fg_profile *recorded(uint64_t *seed, double mean, double burst, int64_t counts[2][SLICES]) {
    fg_profile *p = new_profile("samples", "count");
    fg__slices slices = {0};
    int64_t sums[2] = {0};
    double level = mean;
    for (int i = 0; i < SLICES; i++) {
        if (i % 4 == 0)
            level = burst == 1 ? mean : random_share(seed) < 1.0 / 3 ? mean * burst : mean * (3 - burst) / 2;
        for (uint32_t f = 0; f < 2; f++) {
            counts[f][i] = poisson(seed, f ? mean : level);
            sums[f] += counts[f][i];
            assert_int_equal(fg__slices_add(&slices, ctx, (int64_t)i * 100 * MS, f, counts[f][i]), 0);
        }
    }
    assert_int_equal(fg__slices_add(&slices, ctx, (int64_t)SLICES * 100 * MS, 0, 0), 0);
    add(p, "f0", sums[0]);
    add(p, "f1", sums[1]);
    fg_meta_set_number(p, "samples", sums[0] + sums[1]);
    assert_int_equal(fg__slices_keep(&slices, p, 0, NULL), 0);
    assert_int_equal(fg_profile_slices(p, NULL), SLICES);
    fg__slices_free(&slices, ctx);
    return p;
}

/* Variance over mean of the sum, by drawing blocks again and again as Politis and Romano describe it. */
static double drawn_dispersion(uint64_t *seed, const int64_t *counts) {
    enum { DRAWS = 40000 };
    size_t block = fg__block(SLICES), blocks = SLICES / block;
    double mean = 0, sum = 0, squares = 0;
    for (int i = 0; i < SLICES; i++) mean += (double)counts[i] / SLICES;
    for (int d = 0; d < DRAWS; d++) {
        double total = 0;
        for (size_t b = 0; b < blocks; b++) {
            size_t from = (size_t)(random_share(seed) * SLICES);
            for (size_t i = 0; i < block; i++) total += (double)counts[(from + i) % SLICES];
        }
        sum += total;
        squares += total * total;
    }
    double variance = squares / DRAWS - sum / DRAWS * (sum / DRAWS), whole = mean * (double)(block * blocks);
    return variance / whole / (1 - (double)block / SLICES); /* what the mean of the sample itself takes */
}

static void the_bootstrap_is_what_drawing_comes_to(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        int64_t counts[2][SLICES];
        uint64_t random = seed;
        fg_profile_free(recorded(&random, 20, seed % 2 ? 2.5 : 1, counts));
        double values[SLICES], df;
        for (int i = 0; i < SLICES; i++) values[i] = (double)counts[0][i];
        double expected = drawn_dispersion(&random, counts[0]),
               found = fg__block_dispersion(&df, values, SLICES);
        assert_true(fabs(found / expected - 1) < 0.05);
        assert_true(df == 14);
    }
}

typedef struct margin {
    double change, half; /* of f0: what changed, and half its interval */
} margin;

static margin margin_of(fg_profile *a, fg_profile *b) {
    fg_profile *d;
    const fg_tree *tree;
    fg__walk walk;
    fg__noise noise;
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    assert_int_equal(fg__walk_open(&walk, d), 0);
    assert_int_equal(fg__noise_open(&noise, &walk, 1), 0);
    assert_int_equal(fg_profile_tree(&tree, d), 0);
    double x = (double)tree->total[0][1], y = (double)tree->total[1][1];
    margin m = {fabs(y - x), fg__noise_margin(&noise, 1, x, y)};
    fg__noise_close(&noise, ctx);
    fg__walk_close(&walk);
    fg_profile_free(d);
    return m;
}

/* Samples that come in bursts: the noise of sampling alone takes many changes for real, that of slices hardly any. */
static void bursts_are_no_changes(void **state) {
    (void)state;
    enum { TRIALS = 300 };
    int by_slices = 0, by_sampling = 0, by_slices_steady = 0;
    uint64_t random = 7;
    for (int i = 0; i < TRIALS; i++) {
        int64_t counts[2][SLICES];
        fg_profile *a = recorded(&random, 20, 2.5, counts), *b = recorded(&random, 20, 2.5, counts);
        margin m = margin_of(a, b);
        by_slices += m.change > m.half;
        a->part_count = 0;
        m = margin_of(a, b);
        by_sampling += m.change > m.half;
        fg_profile_free(a);
        fg_profile_free(b);
        a = recorded(&random, 20, 1, counts);
        b = recorded(&random, 20, 1, counts);
        m = margin_of(a, b);
        by_slices_steady += m.change > m.half;
        fg_profile_free(a);
        fg_profile_free(b);
    }
    assert_true(by_sampling > TRIALS / 5);
    assert_true(by_slices <= TRIALS / 30); /* 1 % and what the blocks do not see of the stretches */
    assert_true(by_slices_steady <= TRIALS / 50);
}

static void the_diff_says_where_its_noise_comes_from(void **state) {
    (void)state;
    int64_t counts[2][SLICES];
    uint64_t random = 3;
    char text[256];
    fg_profile *a = recorded(&random, 20, 1, counts), *b = recorded(&random, 40, 1, counts), *d;
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    assert_int_equal(fg__noise_of(d), FG__NOISE_SLICES);
    fg__noise_text(text, sizeof text, d);
    assert_string_equal(text,
                        "noise by block bootstrap of 60 and 60 slices of time; how much runs differ is not "
                        "known: compare several runs a side");
    margin m = margin_of(a, b);
    assert_true(m.change > m.half);
    m = margin_of(a, a);
    assert_true(m.change == 0);
    fg_profile_free(d);
    assert_int_equal(fg_diff_runs(&d, (fg_profile *[]){a, b}, 2, &b, 1,
                                  &(fg_diff_options){.size = sizeof(fg_diff_options)}),
                     0);
    assert_int_equal(fg__noise_of(d), FG__NOISE_RUNS); /* several runs know better */
    fg_profile_free(d);
    fg_profile_free(a);
    fg_profile_free(b);
}

/* ---- every allocation fails in turn -------------------------------------------------------------------- */

static int everything(fg_ctx *c) {
    fg_profile *p = NULL, *made[3] = {NULL};
    fg__slices slices = {0};
    fg__walk walk = {0};
    fg__noise noise = {0};
    void *bytes = NULL;
    size_t n;
    uint32_t frame;
    int64_t value = 100;
    int err = fg_profile_new(&p, c);
    if (!err) err = fg_profile_add_type(p, "samples", "count");
    if (!err) err = fg_profile_frame(&frame, p, &(fg_frame){.name = "f"});
    if (!err) err = fg_profile_add(p, &frame, 1, &value);
    for (int i = 0; i <= 10 && !err; i++) err = fg__slices_add(&slices, c, (int64_t)i * 100 * MS, 0, 10);
    if (!err) err = fg__slices_keep(&slices, p, 0, NULL);
    if (!err) err = fg_profile_select(&made[0], p, 0);
    if (!err) err = fg_profile_slice(&made[1], p, 2, 3);
    if (!err) err = fg_diff(&made[2], p, made[0], NULL, FG_NORMALIZE_ABSOLUTE);
    if (!err) err = fg__walk_open(&walk, made[2]);
    if (!err) err = fg__noise_open(&noise, &walk, 1);
    if (!err) err = encode_payload(&bytes, &n, p, 0, "");
    fg__slices_free(&slices, c);
    fg__noise_close(&noise, c);
    fg__walk_close(&walk);
    fg_free(c, bytes);
    for (int i = 0; i < 3; i++) fg_profile_free(made[i]);
    fg_profile_free(p);
    return err;
}

static void no_allocation_that_fails_does_harm(void **state) {
    (void)state;
    int err = FG_ENOMEM;
    for (long n = 0; err; n++) {
        long left = n;
        fg_ctx *c = fg_ctx_new_with(failing_alloc, &left);
        if (!c) continue;
        err = everything(c);
        assert_true(err == 0 || err == FG_ENOMEM);
        fg_ctx_free(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_grow_with_time),
        cmocka_unit_test(wild_moments_are_taken),
        cmocka_unit_test(a_span_is_spread_over_its_slices),
        cmocka_unit_test(readers_keep_slices_when_asked),
        cmocka_unit_test(a_trace_of_dotnet_has_slices),
        cmocka_unit_test(threads_are_summed_by_their_clock),
        cmocka_unit_test(threads_do_not_add_up_how_long_it_took),
        cmocka_unit_test(what_is_made_of_a_profile_has_its_slices),
        cmocka_unit_test(the_bootstrap_is_what_drawing_comes_to),
        cmocka_unit_test(bursts_are_no_changes),
        cmocka_unit_test(the_diff_says_where_its_noise_comes_from),
        cmocka_unit_test(no_allocation_that_fails_does_harm),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
