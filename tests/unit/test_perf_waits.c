/* Waits out of a perf.data of sched:sched_switch: which recordings are such, when waits begin and end, which count. */
#include "recordings.h"
#include "formats/format.h"
#include "formats/waits.h"

enum { A = 0x10000, B = 0x20000, PAGE = 0x1000, RAW = 1 << 10, SWITCH = 14, TRACEPOINT = 2 };
enum { WITH_RAW = USUAL | RAW, TRACING_DATA = 1, EVENT_DESC = 12 };
enum { RUNNABLE = 0x100, SLEEPING = 1, UNINTERRUPTIBLE = 2, DEAD = 0x10 }; /* prev_state */
static const char *const format = "name: sched_switch\nID: 314\nformat:\n"
                                  "\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n"
                                  "\tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n"
                                  "\tfield:pid_t next_pid;\toffset:56;\tsize:4;\tsigned:1;\n";

static fg_read_options options(void) {
    return (fg_read_options){.size = sizeof(fg_read_options), .name = "x.data", .format = "perf.data"};
}

/* The name of the only event. */
static void put_name(recording *r, const char *name) {
    const uint32_t numbers[] = {1, ATTR}, length = (uint32_t)strlen(name) + 1;
    uint8_t desc[8 + ATTR + 4 + 4 + 64] = {0};
    memcpy(desc, numbers, sizeof numbers);
    memcpy(desc + 8 + ATTR + 4, &length, 4);
    memcpy(desc + 8 + ATTR + 8, name, length);
    put_feature(r, EVENT_DESC, desc, 8 + ATTR + 8 + length);
}

/* Threads 7 and 8, with /nowhere/a and /nowhere/b mapped; `switches`: records of switches were asked for. */
static void start(recording *r, bool switches, uint64_t period) {
    enum { ID_ALL = 1 << 18, SWITCHES = 1 << 26 };
    put_event(r, TRACEPOINT, 314, WITH_RAW, 0);
    set8(r, HEADER + 16, period), set8(r, HEADER + 40, ID_ALL | (switches ? SWITCHES : 0));
    put_comm(r, 7, "prog", false, 1);
    put_mmap(r, 7, A, PAGE, 0, "/nowhere/a", 1);
    put_mmap(r, 7, B, PAGE, 0, "/nowhere/b", 1);
    put_fork(r, 8, 7, 1);
    put_name(r, "sched:sched_switch");
    put_feature(r, TRACING_DATA, format, strlen(format));
}

/* The thread leaves its CPU to `next`. */
static void leaves(recording *r, uint32_t tid, uint64_t time, uint64_t state, uint32_t next, uint64_t at) {
    uint8_t raw[68] = {0};
    const uint32_t size = sizeof raw;
    memcpy(raw + 32, &state, 8), memcpy(raw + 56, &next, 4);
    begin(r, RECORD_SAMPLE, 2);
    put8(r, at), put4(r, tid), put4(r, tid), put8(r, time), put8(r, 1);
    put8(r, 2), put8(r, in_user), put8(r, at);
    put4(r, size), put(r, raw, size);
    end(r);
}

static void returns(recording *r, uint32_t tid, uint64_t time, bool out) {
    begin(r, SWITCH, out ? 1 << 13 : 0);
    put_trailer(r, tid, time);
}

static fg_profile *read_with(const recording *r, const fg_read_options *o) {
    fg_profile *p;
    if (fg_parse(&p, ctx, r->bytes, r->n, o)) fail_msg("%s", fg_error(ctx));
    return p;
}

static void expect(recording *r, const fg_read_options *o, const char *stacks) {
    if (!r->bytes[0]) finish(r);
    fg_profile *p = read_with(r, o);
    assert_string_equal(text_of(p), stacks);
    fg_profile_free(p);
}

/* Thread 7 waits twice in a and once for a CPU; thread 8 once in b, until the end. */
static void put_waits(recording *r) {
    returns(r, 7, 5, false); /* from a wait that began before */
    leaves(r, 7, 10, SLEEPING, 8, A + 1);
    returns(r, 7, 10, true);
    leaves(r, 8, 20, UNINTERRUPTIBLE, 7, B + 1);
    returns(r, 7, 110, false);
    leaves(r, 7, 200, RUNNABLE, 8, A + 1);
    returns(r, 7, 230, false);
    leaves(r, 7, 300, SLEEPING, 0, A + 2);
    returns(r, 7, 307, false);
    put_comm(r, 9, "end", false, 520);
}

static void a_wait_lasts_until_the_thread_is_back(void **state) {
    (void)state;
    recording r = {0};
    fg_read_options o = options();
    start(&r, true, 1);
    put_waits(&r);
    expect(&r, &o, "prog;[a];runnable 30 1\nprog;[a];sleeping 107 2\nprog;[b];uninterruptible 500 1\n");
    fg_profile *p = read_with(&r, &o);
    assert_string_equal(fg_profile_type(p, 0).name, "offcpu");
    assert_string_equal(fg_profile_type(p, 0).unit, "nanoseconds");
    assert_string_equal(fg_profile_type(p, 1).name, "waits");
    assert_string_equal(fg_meta_text(p, "default_type"), "offcpu");
    assert_int_equal(fg_meta_number(p, "samples"), 4);
    assert_int_equal(fg_meta_number(p, "lost"), 0);
    fg_profile_free(p);
}

/* A wait is in all the slices in which it was, from the first one on. */
static void waits_are_in_slices_of_time(void **state) {
    (void)state;
    enum { MS = 1000000 };
    recording r = {0};
    fg_read_options o = options();
    start(&r, true, 1);
    leaves(&r, 7, 5000ll * MS, SLEEPING, 8, A + 1);
    leaves(&r, 8, 5100ll * MS, SLEEPING, 0, B + 1);
    returns(&r, 8, 5150ll * MS, false);
    returns(&r, 7, 6000ll * MS, false);
    finish(&r);
    fg_profile *p = read_with(&r, &o);
    assert_int_equal(fg_profile_slices(p, NULL), 0);
    fg_profile_free(p);
    o.slices = true;
    p = read_with(&r, &o);
    assert_int_equal(fg_profile_slices(p, NULL), 10);
    int64_t sums[10] = {0};
    for (size_t i = 0; i < p->part_count; i++) sums[p->parts[i].run] += p->parts[i].value;
    for (int i = 0; i < 10; i++)
        assert_in_range(sums[i], (i == 1 ? 150 : 100) * MS - 2, (i == 1 ? 150 : 100) * MS + 2);
    fg_profile_free(p);
}

static void waits_can_be_chosen(void **state) {
    (void)state;
    recording r = {0};
    fg_read_options o = options();
    start(&r, true, 1);
    put_waits(&r);
    o.min_wait = 25e-9, o.max_wait = 400e-9;
    expect(&r, &o, "prog;[a];runnable 30 1\nprog;[a];sleeping 100 1\n");
    o = options();
    o.wait_states = (const char *const[]){"uninterruptible", "runnable", NULL};
    expect(&r, &o, "prog;[a];runnable 30 1\nprog;[b];uninterruptible 500 1\n");
    fg_profile *p;
    o.wait_states = (const char *const[]){"dreaming", NULL};
    assert_int_equal(fg_parse(&p, ctx, r.bytes, r.n, &o), FG_EINVAL);
    assert_string_equal(fg_error(ctx), "no thread waits in the state \"dreaming\"");
    o.wait_states = (const char *const[]){"parked", NULL};
    assert_int_equal(fg_parse(&p, ctx, r.bytes, r.n, &o), FG_EEMPTY);
    assert_non_null(strstr(fg_error(ctx), "no thread waited in a way that counts"));
    o = options();
    o.event = "sched:sched_switch"; /* asked for as an event, it is one */
    expect(&r, &o, "prog;[a] 3 3\nprog;[b] 1 1\n");
}

static void what_is_lost_does_not_become_a_long_wait(void **state) {
    (void)state;
    recording r = {0};
    fg_read_options o = options();
    start(&r, true, 1);
    leaves(&r, 7, 10, SLEEPING, 8, A + 1);
    leaves(&r, 7, 100, SLEEPING, 8, A + 1); /* its return is missing */
    returns(&r, 7, 101, false);
    returns(&r, 7, 105, false); /* and here, that it left */
    leaves(&r, 8, 110, DEAD, 7, B + 1);
    put_comm(&r, 9, "end", false, 900);
    expect(&r, &o, "prog;[a];sleeping 1 1\n");
    fg_profile *p = read_with(&r, &o);
    assert_int_equal(fg_meta_number(p, "lost"), 1);
    fg_profile_free(p);
}

static void of_all_threads_the_next_one_is_back(void **state) {
    (void)state;
    recording r = {0};
    fg_read_options o = options();
    start(&r, false, 1);
    leaves(&r, 7, 10, SLEEPING, 0, A + 1);
    leaves(&r, 0, 30, RUNNABLE, 8, A + 1);
    leaves(&r, 8, 50, SLEEPING, 7, B + 1);
    leaves(&r, 7, 51, SLEEPING, 0, A + 1);
    leaves(&r, 0, 60, RUNNABLE, 8, A + 1);
    put_comm(&r, 9, "end", false, 61);
    expect(&r, &o, "prog;[a];sleeping 50 2\nprog;[b];sleeping 10 1\n");
}

static void others_are_recordings_of_an_event(void **state) {
    (void)state;
    static const char *const event = "prog;[a] 2 2\n";
    fg_read_options o = options();
    recording r = {0};
    start(&r, false, 1); /* of some threads: nobody knows when they are back */
    leaves(&r, 7, 10, SLEEPING, 8, A + 1);
    leaves(&r, 7, 90, SLEEPING, 8, A + 1);
    expect(&r, &o, event);
    r = (recording){0};
    start(&r, true, 7); /* one switch in seven */
    leaves(&r, 7, 10, SLEEPING, 8, A + 1);
    leaves(&r, 7, 90, SLEEPING, 8, A + 1);
    expect(&r, &o, event);
    r = (recording){0};
    start(&r, true, 1); /* fields of another size, or nowhere */
    memcpy(r.features + r.feature_at[TRACING_DATA] + (strstr(format, "size:8") - format) + 5, "4", 1);
    leaves(&r, 7, 10, SLEEPING, 8, A + 1);
    leaves(&r, 7, 90, SLEEPING, 8, A + 1);
    expect(&r, &o, event);
}

/* A place of the field that is not in the data. */
static void fields_are_within_the_data(void **state) {
    (void)state;
    fg_read_options o = options();
    fg_profile *p;
    recording r = {0};
    start(&r, true, 1);
    memcpy(r.features + r.feature_at[TRACING_DATA] + (strstr(format, "offset:32") - format) + 7, "61", 2);
    put_waits(&r);
    finish(&r);
    assert_int_equal(fg_parse(&p, ctx, r.bytes, r.n, &o), FG_EEMPTY);
}

/* Cut anywhere, and each byte wrong in turn. */
static void damaged_files_are_no_disaster(void **state) {
    (void)state;
    fg_read_options o = options();
    o.max_input = 1 << 20;
    for (int all = 0; all < 2; all++) {
        recording r = {0};
        start(&r, !all, 1);
        put_waits(&r);
        leaves(&r, 0, 400, RUNNABLE, 8, A + 1);
        finish(&r);
        for (size_t n = 0; n < r.n; n++) {
            uint8_t *copy = malloc(n ? n : 1); /* of its own, so that reading behind it is found out */
            fg_profile *p;
            memcpy(copy, r.bytes, n);
            if (!fg_parse(&p, ctx, copy, n, &o)) fg_profile_free(p);
            free(copy);
            r.bytes[n] ^= 0xff;
            if (!fg_parse(&p, ctx, r.bytes, r.n, &o)) fg_profile_free(p);
            r.bytes[n] ^= 0xff;
        }
    }
}

static void memory_may_run_out(void **state) {
    (void)state;
    recording r = {0};
    fg_read_options o = options();
    start(&r, true, 1);
    put_waits(&r);
    finish(&r);
    read_poorly(r.bytes, r.n, &o);
    o.slices = true;
    read_poorly(r.bytes, r.n, &o);
}

static void states_have_names_and_letters(void **state) {
    (void)state;
    assert_int_equal(fg__wait_state(RUNNABLE), FG__STATE_RUNNABLE);
    assert_int_equal(fg__wait_state(DEAD), FG__STATE_GONE);
    assert_string_equal(fg__wait_state_name(fg__wait_state(SLEEPING)), "sleeping");
    assert_int_equal(fg__wait_state_lettered('D'), fg__wait_state(UNINTERRUPTIBLE));
    assert_int_equal(fg__wait_state_lettered('Z'), FG__STATE_GONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_lasts_until_the_thread_is_back),
        cmocka_unit_test(waits_are_in_slices_of_time),
        cmocka_unit_test(waits_can_be_chosen),
        cmocka_unit_test(what_is_lost_does_not_become_a_long_wait),
        cmocka_unit_test(of_all_threads_the_next_one_is_back),
        cmocka_unit_test(others_are_recordings_of_an_event),
        cmocka_unit_test(fields_are_within_the_data),
        cmocka_unit_test(damaged_files_are_no_disaster),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(states_have_names_and_letters),
    };
    return cmocka_run_group_tests_name("perf.data of waits", tests, open_ctx, close_ctx);
}
