/* The sampler of .NET programs: which stacks CPU time goes to, and a session with a runtime that this file plays. */
#include "loops.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "formats/input.h"
#include "sample/dotnet.h"
#include "sample/sample.h"
#include "traces.h"

/* ---- which stacks it went to ----------------------------------------------------------------------------- */

enum { MS = 1000000, WORK = 0, OTHER_WORK = 1, WAIT = 2, PERIOD_MS = 1 };

static fg_in *in;
static fg__nettrace *stacks_of;
static dn_threads threads;
static dn_cpu cpu;
static fg__tally tally;

static int ignore(void *user, const fg__nettrace_sample *s) {
    (void)user, (void)s;
    return 0;
}

/* A trace with three stacks: they are numbers 0, 1 and 2. */
static int open_cpu(void **state) {
    static trace t;
    int err = open_loop(state);
    fg_read_options options = {.size = sizeof options, .format = "nettrace"};
    t.n = 0;
    put_head(&t);
    put_clocks(&t);
    put_stacks(&t, 1);
    put(&t, 1, 1);
    threads = (dn_threads){0};
    cpu = (dn_cpu){0};
    tally = (fg__tally){0};
    if (!err) err = fg__in_open_memory(&in, ctx, t.bytes, t.n, &options);
    if (!err) err = fg__nettrace_new(&stacks_of, in, 1 << 20, ignore, NULL);
    while (!err && fg__nettrace_next(stacks_of) > 0) {}
    return err;
}

static int close_cpu(void **state) {
    dn_threads_free(ctx, &threads);
    dn_cpu_free(ctx, &cpu);
    fg__tally_free(ctx, &tally);
    fg__nettrace_free(stacks_of);
    fg__in_close(in);
    return close_loop(state);
}

static dn_thread *a_thread(uint64_t id) {
    dn_thread *thread;
    assert_int_equal(dn_thread_find(&thread, ctx, &threads, id), 0);
    return thread;
}

static void see(uint64_t id, double ms, uint32_t stack) {
    dn_thread *thread = a_thread(id);
    assert_int_equal(fg__grow(ctx, &thread->sightings, &thread->sighting_cap, thread->sighting_count + 1,
                              sizeof *thread->sightings),
                     0);
    thread->sightings[thread->sighting_count++] = (dn_sighting){(int64_t)(ms * MS), stack};
}

static void stretch(uint64_t id, double until_ms, double cpu_ms) {
    dn_thread *thread = a_thread(id);
    assert_int_equal(fg__grow(ctx, &thread->stretches, &thread->stretch_cap, thread->stretch_count + 1,
                              sizeof *thread->stretches),
                     0);
    int64_t from = thread->stretch_count ? thread->stretches[thread->stretch_count - 1].until : 0;
    thread->stretches[thread->stretch_count++] =
        (dn_stretch){from, (int64_t)(until_ms * MS), (int64_t)(cpu_ms * MS)};
}

static void share_all(void) {
    assert_int_equal(dn_cpu_match(&cpu, ctx, stacks_of, &threads, INT64_MAX), 0);
    assert_int_equal(dn_cpu_share(&cpu, ctx, &tally, &threads, PERIOD_MS * MS, true), 0);
}

/* What a stack was given, in milliseconds; thread 0: of all. */
static double given(uint64_t thread, uint32_t stack) {
    int64_t sum = 0;
    for (size_t i = 0; i < tally.n; i++)
        if ((!thread || tally.rows[i].thread == thread) && tally.rows[i].stack == stack)
            sum += tally.rows[i].value;
    return (double)sum / MS;
}

#define assert_near(value, expected, off)                                                                    \
    do {                                                                                                     \
        double v = (value), e = (expected);                                                                  \
        if (!(v >= e - (off) && v <= e + (off))) fail_msg("%s is %g, not %g", #value, v, e);                 \
    } while (0)

static void time_goes_to_what_was_seen(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        see(7, 4 * i + 1, WORK);
        see(7, 4 * i + 2, i % 4 ? WORK : OTHER_WORK);
        stretch(7, 4 * i + 4, 4);
        see(8, 4 * i + 1, WAIT);
        stretch(8, 4 * i + 4, 0);
    }
    share_all();
    assert_near(given(7, WORK), 350, 1);
    assert_near(given(7, OTHER_WORK), 50, 1);
    assert_near(given(8, WAIT), 0, 0);
    assert_near(given(0, WORK) + given(0, OTHER_WORK), 400, 1e-5);
}

/* 2 ms of work, 5 ms of sleep; a third of the work is not seen, and the clock tells of it up to 4 ms late. */
static void a_thread_that_mostly_waits_is_seen_at_work(void **state) {
    (void)state;
    enum { ROUNDS = 300 };
    for (int i = 0; i < ROUNDS; i++) {
        double at = 7 * i;
        if (i % 3) see(7, at + 1, WORK);
        for (int k = 2; k < 7; k++) see(7, at + k, WAIT);
        stretch(7, at + 3, 2);
        stretch(7, at + 7, 0);
    }
    share_all();
    assert_near(given(7, WORK), 2 * ROUNDS, 0.02 * 2 * ROUNDS);
    assert_near(given(7, WORK) + given(7, WAIT), 2 * ROUNDS, 1e-3);
}

/* As while garbage is collected: the stack that is seen next has it. */
static void time_without_a_sighting_is_carried_on(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        see(7, 8 * i + 1, WORK);
        stretch(7, 8 * i + 4, 4);
        stretch(7, 8 * i + 8, 4);
    }
    see(7, 81, WORK);
    stretch(7, 84, 4);
    share_all();
    assert_near(given(7, WORK), 84, 1e-5);
}

/* CPU time goes where it was divided; what was carried on, to all the time since; that of a thread without a stack too. */
static void time_is_in_its_slices(void **state) {
    (void)state;
    fg__slices slices = {0};
    int64_t sums[2][20] = {{0}};
    cpu.slices = &slices;
    assert_int_equal(fg__slices_add(&slices, ctx, 0, dn_slice_row(0), 0), 0);
    a_thread(7)->seen = 0;
    for (int i = 0; i < 500; i++) {
        if (i < 250 || i > 400) see(7, 4 * i + 1, WORK);
        stretch(7, 4 * i + 4, 2);
        stretch(8, 4 * i + 4, 1);
    }
    share_all();
    assert_int_equal(tally.n, 1);
    for (size_t i = 0; i < slices.n; i++) {
        assert_true(slices.entries[i].stack == dn_slice_row(0) ||
                    slices.entries[i].stack == dn_slice_thread(1));
        sums[slices.entries[i].stack % 2][slices.entries[i].run] += slices.entries[i].value;
    }
    for (int i = 0; i < 20; i++) {
        assert_near((double)sums[0][i], 50 * MS, 2 * MS);
        assert_near((double)sums[1][i], 25 * MS, MS / 1000);
    }
    fg__slices_free(&slices, ctx);
}

/* What has not been looked at yet is little, however long a thread sleeps. */
static void sleepers_take_no_memory(void **state) {
    (void)state;
    stretch(7, 1, 0);
    for (int i = 1; i < 100000; i++) {
        see(7, i, WAIT);
        a_thread(7)->stretches[0].until = (int64_t)i * MS;
        assert_int_equal(dn_cpu_match(&cpu, ctx, stacks_of, &threads, (int64_t)i * MS), 0);
    }
    assert_true(a_thread(7)->sighting_cap < 2000 && cpu.cell_count == 0);
}

/* ---- a session --------------------------------------------------------------------------------------------- */

static struct {
    char path[64];
    int listener;
    pthread_t thread;
    trace answer;
} server;

/* A runtime whose sessions are over at once. Nobody asks it to stop: that connection gets the same, unread. */
static void *serve(void *user) {
    (void)user;
    uint8_t asked[512];
    for (int fd; (fd = accept(server.listener, NULL, NULL)) >= 0; close(fd))
        if (recv(fd, asked, sizeof asked, 0) > 0)
            send(fd, server.answer.bytes, server.answer.n, MSG_NOSIGNAL);
    return NULL;
}

static int open_server(void **state) {
    static const char reply[14] = "DOTNET_IPC_V1";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    trace t = a_trace();
    server.answer.n = 0;
    put_all(&server.answer, reply, sizeof reply);
    put(&server.answer, 28, 2);
    put(&server.answer, 0x00ff, 2);
    put(&server.answer, 0, 2);
    put(&server.answer, 1, 8); /* the session */
    put_all(&server.answer, t.bytes, t.n);
    snprintf(server.path, sizeof server.path, "/tmp/flame-graph-test-dotnet-%d", (int)getpid());
    snprintf(address.sun_path, sizeof address.sun_path, "%s", server.path);
    unlink(server.path);
    server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server.listener, (struct sockaddr *)&address, sizeof address) || listen(server.listener, 8))
        return -1;
    return pthread_create(&server.thread, NULL, serve, NULL) ? -1 : open_loop(state);
}

static int close_server(void **state) {
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
    unlink(server.path);
    return close_loop(state);
}

static void set(void *options, const char *key, const void *value, size_t size) {
    const fg__option *row = fg__sampler_named("dotnet")->options;
    while (strcmp(row->key, key) != 0) row++;
    memcpy((char *)options + row->offset, value, size);
}

static int begin_session(fg__op **out, fg__loop *on, bool wall) {
    _Alignas(max_align_t) char options[256] = {0};
    const char *path = server.path;
    uint64_t pid = (uint64_t)getpid();
    double duration = 20;
    bool sliced = true;
    assert_true(fg__sampler_named("dotnet")->options_size <= sizeof options);
    set(options, "pid", &pid, sizeof pid);
    set(options, "duration", &duration, sizeof duration);
    set(options, "socket", &path, sizeof path);
    set(options, "wall", &wall, sizeof wall);
    set(options, "slices", &sliced, sizeof sliced);
    return fg__sample_start(out, on, fg__sampler_named("dotnet"), options);
}

static void a_session_becomes_a_profile(void **state) {
    (void)state;
    fg__op *op = NULL;
    assert_int_equal(begin_session(&op, loop, true), 0);
    if (wait_for(op)) fail_msg("%s", fg__op_message(op));
    fg_profile *p = fg__sample_take(op);
    fg__op_release(op);
    assert_int_equal(fg_profile_total(p, 0), 5);
    assert_int_equal(fg_profile_total(p, 1), 7998500);
    assert_int_equal(fg_meta_number(p, "samples"), 5);
    assert_int_equal(fg_meta_number(p, "period"), PERIOD);
    fg_profile_free(p);
}

/* The clocks are those of this process, whose threads are none of the trace's: each is a tower of its own. */
static void threads_without_samples_have_their_time(void **state) {
    (void)state;
    fg__op *op = NULL;
    assert_int_equal(begin_session(&op, loop, false), 0);
    if (wait_for(op)) fail_msg("%s", fg__op_message(op));
    fg_profile *p = fg__sample_take(op);
    fg__op_release(op);
    assert_string_equal(fg_profile_type(p, 1).name, "cpu");
    for (size_t i = 0; i < fg_profile_frame_count(p); i++)
        assert_int_equal(strncmp(fg_profile_frame_at(p, (uint32_t)i).name, "[thread ", 8), 0);
    fg_profile_free(p);
}

static int begin_wall(fg__op **out, fg__loop *on) {
    return begin_session(out, on, true);
}

static int begin_cpu(fg__op **out, fg__loop *on) {
    return begin_session(out, on, false);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    fail_each_allocation(begin_wall);
    fail_each_allocation(begin_cpu);
}

static void a_session_may_be_let_go(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        fg__op *op = NULL;
        assert_int_equal(begin_session(&op, loop, true), 0);
        if (i % 2) fg__loop_step(loop, i);
        fg__op_release(op);
    }
}

int main(void) {
#define WITH_CPU(test) cmocka_unit_test_setup_teardown(test, open_cpu, close_cpu)
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, open_server, close_server)
    const struct CMUnitTest tests[] = {
        WITH_CPU(time_goes_to_what_was_seen),
        WITH_CPU(a_thread_that_mostly_waits_is_seen_at_work),
        WITH_CPU(time_without_a_sighting_is_carried_on),
        WITH_CPU(time_is_in_its_slices),
        WITH_CPU(sleepers_take_no_memory),
        WITH_SERVER(a_session_becomes_a_profile),
        WITH_SERVER(threads_without_samples_have_their_time),
        WITH_SERVER(each_allocation_may_fail),
        WITH_SERVER(a_session_may_be_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
