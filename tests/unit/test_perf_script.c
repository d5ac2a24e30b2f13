/*
 * perf script: what inferno-collapse-perf makes of real recordings and of odd ones (tests/conformance/perf, recorded by
 * tests/conformance/record), what is read otherwise or as well, metadata, and what is wrong with bad texts.
 */
#include "profiles.h"
#include <dirent.h>
#include <errno.h>
#include <unistd.h>
#include <zlib.h>
#include "formats/format.h"

#define PERF_FOLDER FG_TEST_DATA "/../conformance/perf"
#define FRAME(address, rest) "\t" address " " rest "\n"
#define F(name) FRAME("              12", name " (/bin/x)")

static fg_read_options options(void) {
    return (fg_read_options){.size = sizeof(fg_read_options), .name = "x.txt", .format = "perf-script"};
}

static fg_profile *read_with(const char *text, const fg_read_options *o) {
    fg_profile *p;
    if (fg_parse(&p, ctx, text, strlen(text), o)) fail_msg("%s", fg_error(ctx));
    return p;
}

static fg_profile *read_text(const char *text) {
    fg_read_options o = options();
    return read_with(text, &o);
}

static void expect_with(const char *text, const fg_read_options *o, const char *stacks) {
    fg_profile *p = read_with(text, o);
    assert_string_equal(text_of(p), stacks);
    fg_profile_free(p);
}

static void expect(const char *text, const char *stacks) {
    fg_read_options o = options();
    expect_with(text, &o, stacks);
}

static void expect_error(const char *text, const char *event, int code, const char *message) {
    fg_read_options o = options();
    o.event = event;
    fg_profile *p;
    assert_int_equal(fg_parse(&p, ctx, text, strlen(text), &o), code);
    if (!strstr(fg_error(ctx), message)) fail_msg("\"%s\" does not say \"%s\"", fg_error(ctx), message);
}

static fg_frame frame_named(const fg_profile *p, const char *name) {
    for (uint32_t i = 0; i < fg_profile_frame_count(p); i++)
        if (strcmp(fg_profile_frame_at(p, i).name, name) == 0) return fg_profile_frame_at(p, i);
    fail_msg("no frame %s", name);
    return (fg_frame){0};
}

/* ---- what inferno-collapse-perf makes of it ---------------------------------------------------------------------- */

static char *load(const char *path) {
    enum { MOST = 4 << 20 };
    char *text = malloc(MOST);
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    int n = gzread(file, text, MOST - 1);
    assert_in_range(n, 1, MOST - 2);
    text[n] = '\0';
    gzclose(file);
    return text;
}

static void set_flags(fg_read_options *o, char *flags) {
    const struct {
        const char *name;
        bool *flag;
    } known[] = {{"--pid", &o->with_pid},
                 {"--tid", &o->with_tid},
                 {"--addrs", &o->addresses},
                 {"--kernel", &o->annotate_kernel},
                 {"--jit", &o->annotate_jit}};
    char *save;
    for (char *word = strtok_r(flags, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        bool found = strcmp(word, "--event-filter") == 0;
        if (found) o->event = strtok_r(NULL, " ", &save);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            if (strcmp(word, known[i].name) != 0) continue;
            *known[i].flag = found = true;
        }
        if (!found) fail_msg("%s is no option", word);
    }
}

/* `expected` is what inferno wrote; nothing where it found no sample. */
static void compare(const char *input, char *flags, const char *expected, size_t n) {
    fg_read_options o = options();
    fg_write_options w = {.size = sizeof w, .format = "folded"};
    fg_profile *p;
    char shown[1280];
    snprintf(shown, sizeof shown, "%s %s", input, flags);
    set_flags(&o, flags);
    int err = fg_read(&p, ctx, input, &o);
    if (n == 0) {
        assert_int_equal(err, FG_EEMPTY);
        return;
    }
    void *out = NULL;
    size_t out_n = 0;
    if (err || fg_write_memory(&out, &out_n, p, &w)) fail_msg("%s: %s", shown, fg_error(ctx));
    if (out_n != n || memcmp(out, expected, n) != 0)
        fail_msg("%s: not what was recorded, but\n%.*s", shown, (int)out_n, (char *)out);
    fg_free(ctx, out);
    fg_profile_free(p);
}

/* Compare each section of a recorded file. */
static int compare_sections(const char *input, const char *recorded) {
    char *text = load(recorded), *next;
    int count = 0;
    for (char *section = text; section; section = next, count++) {
        assert_memory_equal(section, "== ", 3);
        char *lines = strchr(section, '\n') + 1;
        next = strncmp(lines, "== ", 3) == 0 ? lines : strstr(lines, "\n== ");
        if (next && next != lines) next++;
        lines[-1] = '\0';
        compare(input, section + 3, lines, next ? (size_t)(next - lines) : strlen(lines));
    }
    free(text);
    return count;
}

static void equals_inferno(void **state) {
    (void)state;
    DIR *folder = opendir(PERF_FOLDER);
    assert_non_null(folder);
    int inputs = 0, sections = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *suffix = strstr(entry->d_name, ".txt");
        if (!suffix) continue;
        char input[1024], recorded[1024];
        snprintf(input, sizeof input, PERF_FOLDER "/%s", entry->d_name);
        snprintf(recorded, sizeof recorded, PERF_FOLDER "/%.*s.folded%s", (int)(suffix - entry->d_name),
                 entry->d_name, suffix + 4);
        sections += compare_sections(input, recorded);
        inputs++;
    }
    closedir(folder);
    assert_in_range(inputs, 18, 1000);
    assert_int_equal(sections, inputs * 12);
}

/* ---- shapes that are read as well --------------------------------------------------------------------------------- */

static void fields_may_be_missing(void **state) {
    (void)state;
    static const struct {
        const char *event, *stacks;
    } shapes[] = {
        {"a b 26316 ", "a_b;main;f 1\n"},
        {"26316/26317  2429.018533: cpu-clock: ", "main;f 1\n"},
        {"a cpu-clock: ", "a;main;f 1\n"},
        {"a b [003] cpu-clock: ", "a_b;main;f 1\n"},
        {"a  2429.018533:    1001001 ", "a;main;f 1001001 1\n"},
        {"a 26316    1001001 cpu-clock: ", "a;main;f 1001001 1\n"},
        {"a 26316 UK   [003] 2429.018533:    1001001 cpu-clock: ", "a;main;f 1001001 1\n"},
        {":-1    -1 [000]  7175.862499:     125000 cpu-clock: ", ":-1;main;f 125000 1\n"},
        {"cpu-clock: ", "main;f 1\n"},
        {"", "main;f 1\n"}, /* -F ip,sym,dso */
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s\n" F("f+0x1") F("main+0x22") "\n\n", shapes[i].event);
        expect(text, shapes[i].stacks);
    }
}

static void frames_may_have_no_module(void **state) {
    (void)state;
    expect("a 1 2.0: 5 cycles: \n" FRAME("            3f9e7", "f(int)+0x87")
               FRAME("            3fbe3", "[unknown]") FRAME("            3fbe4", "g") "\n",
           "a;g;[unknown];f 5 1\n");
    expect("a 1 2.0: 5 cycles: \n\t           3f9e7\n\t           3f9e7 (/usr/lib/libc.so.6)\n\n",
           "a;[libc.so.6];[unknown] 5 1\n");
}

static void modules_may_have_spaces(void **state) {
    (void)state;
    fg_profile *p =
        read_text("a 1 2.0: 5 cycles: \n" FRAME("              12", "f+0x1 (/opt/My App (x86)/lib.so)")
                      FRAME("              13", "g+0x1 (/tmp/x (deleted))")
                          FRAME("              14", "[unknown] (/memfd:jit (deleted))")
                              FRAME("              15", "h+0x1 (/bin/x+0x1234)") "\n");
    assert_string_equal(text_of(p), "a;h;[memfd:jit (deleted)];g;f 5 1\n");
    assert_string_equal(frame_named(p, "f").module, "/opt/My App (x86)/lib.so");
    assert_string_equal(frame_named(p, "g").module, "/tmp/x (deleted)");
    assert_string_equal(frame_named(p, "h").module, "/bin/x");
    fg_profile_free(p);
}

static void tracepoints_have_payloads(void **state) {
    (void)state;
    expect(
        "a 432 [000]  7282.455881: sched:sched_switch: prev_comm=a prev_state=R ==> next_comm=cc1\n" F(
            "f") "\n"
                 "a 432 [000]  7282.455882: sched:sched_wakeup: comm=b\n" F(
                     "g") "\n"
                          "a 432 [000]  7282.455883:          1 probe_libc:malloc: (55d5d3b0)\n" F("g") "\n",
        "a;f 1\n");
    fg_read_options o = options();
    static const char text[] = "a 432 [000]  1.1:  1 probe_x:y: (55d5d3b0)\n" F(
        "f") "\n"
             "a 432 [000]  1.2:  7 probe_x:z: (55d5d3b0) size=3\n" F("g") "\n";
    o.event = "probe_x:z";
    expect_with(text, &o, "a;g 7 1\n");
    o.event = "probe_x"; /* all of them */
    expect_with(text, &o, "a;f 1 1\na;g 7 1\n");
}

static void events_need_no_frames(void **state) {
    (void)state;
    fg_profile *p = read_text("a 1 [000] 1.0: 5 cycles: \n"
                              "a 1 [000] 1.1: 5 cycles: \n" F("f") "\n"
                                                                   "a 1 [000] 1.2: 5 cycles: \n\n");
    assert_string_equal(text_of(p), "a;f 5 1\n");
    assert_int_equal(fg_meta_number(p, "failed"), 2);
    fg_profile_free(p);
}

static void records_are_no_samples(void **state) {
    (void)state;
    fg_profile *p = read_text(
        "swapper     0     0.000000: PERF_RECORD_MMAP -1/0: [0xff(0x12) @ 0xff]: x [kernel.kallsyms]_text\n"
        "a 26316  2429.017504: PERF_RECORD_COMM exec: a:26316/26316\n"
        "a 26316  2429.018533:    1001001 cpu-clock: \n" F(
            "f") "\n"
                 "a 26316  2429.018534: PERF_RECORD_LOST lost 57\n"
                 "a 26316  2429.018534: PERF_RECORD_LOST_SAMPLES lost 3\n");
    assert_string_equal(text_of(p), "a;f 1001001 1\n");
    assert_int_equal(fg_meta_number(p, "lost"), 60);
    assert_int_equal(fg_meta_number(p, "failed"), 0);
    fg_profile_free(p);
}

static void arrows_are_not_always_inlining(void **state) {
    (void)state;
    fg_profile *p = read_text("a 1 2.0: 5 cycles: \n" F("std::unique_ptr<Foo>::operator->() const+0x4") F(
        "<fn(i32) -> i32 as core::ops::Fn>::call+0x4") F("Lfoo;::a->Lbar;::b") "\n");
    assert_string_equal(
        text_of(p),
        "a;Lfoo:::a;Lbar:::b;<fn(i32) -> i32 as core::ops::Fn>::call;std::unique_ptr<Foo>::operator-> 5 1\n");
    assert_int_equal(frame_named(p, "Lbar:::b").kind, FG_KIND_INLINED);
    assert_int_equal(frame_named(p, "Lfoo:::a").kind, FG_KIND_NATIVE);
    fg_profile_free(p);
}

/* A frame's address may end where the next line would look like one. */
static void lines_end_where_they_end(void **state) {
    (void)state;
    char text[4096] = "a 1 2.0: 5 cycles: \n" F("f") "\tTHIS_IS_WEIRD__\n\t \n" F("g") F("h");
    for (int i = 0; i < 20; i++) strcat(text, F("h"));
    strcat(text, "\n");
    fg_profile *p = read_text(text);
    assert_string_equal(fg_profile_frame_at(p, 1).name, "f");
    for (uint32_t i = 0; i < fg_profile_frame_count(p); i++)
        assert_null(strchr(fg_profile_frame_at(p, i).name, '1'));
    fg_profile_free(p);
}

/* ---- frames ---------------------------------------------------------------------------------------------------------- */

static void frames_have_kinds_and_modules(void **state) {
    (void)state;
    static const struct {
        const char *module;
        fg_kind kind;
    } kinds[] = {{"/usr/lib/libc.so.6", FG_KIND_NATIVE},
                 {"[kernel.kallsyms]", FG_KIND_KERNEL},
                 {"/x/vmlinux-6.1", FG_KIND_KERNEL},
                 {"/lib/nf.ko", FG_KIND_KERNEL},
                 {"/tmp/perf-12.map", FG_KIND_JIT},
                 {"/x/jitted-1-2.so", FG_KIND_JIT},
                 {"inlined", FG_KIND_NATIVE},
                 {"[unknown]", FG_KIND_UNKNOWN}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char text[256];
        snprintf(text, sizeof text, "a 1 2.0: 5 cycles: \n\t              12 f+0x4 (%s)\n\n",
                 kinds[i].module);
        fg_profile *p = read_text(text);
        assert_string_equal(frame_named(p, "f").module, kinds[i].module);
        assert_int_equal(frame_named(p, "f").kind, kinds[i].kind);
        assert_int_equal(p->annotations, 0);
        fg_profile_free(p);
    }
}

static void source_lines_are_kept(void **state) {
    (void)state;
    static const char text[] = "a 1 2.0: 5 cycles: \n" F("f+0x4") "  src/a b.c:59\n" F(
        "f+0x8") "  src/a b.c:60 (discriminator 2)\n" F("g+0x8") "  libc.so.6[3f9e7]\n" F("main") "  "
                                                                                                  "m.c:7\n\n";
    fg_read_options o = options();
    fg_profile *p = read_with(text, &o);
    assert_string_equal(text_of(p), "a;main;g;f;f 5 1\n");
    assert_string_equal(frame_named(p, "f").file, "");
    assert_null(fg_profile_note_at(p, 0));
    size_t n;
    const uint32_t *stack = fg_profile_stack(p, 0, &n);
    fg_frame f = fg_profile_frame_at(p, stack[n - 1]);
    assert_string_equal(f.file, "src/a b.c");
    assert_int_equal(f.line, 0);
    assert_int_equal(stack[n - 1], stack[n - 2]); /* one frame a function */
    fg_profile_free(p);

    o.lines = true;
    p = read_with(text, &o);
    stack = fg_profile_stack(p, 0, &n);
    assert_int_equal(fg_profile_frame_at(p, stack[n - 1]).line, 59);
    assert_int_equal(fg_profile_frame_at(p, stack[n - 2]).line, 60);
    assert_int_equal(fg_profile_frame_at(p, stack[1]).line, 7);
    fg_profile_free(p);
}

/* The same text is another frame in a JVM, and with addresses each unknown frame is one of its own. */
static void the_same_line_is_not_always_the_same(void **state) {
    (void)state;
#define SAMPLE(comm)                                                                                         \
    comm " 1 2.0: 5 cycles: \n" FRAME("    7f1111111110", "Lorg/X;::run (/tmp/perf-1.map)") "\n"
    expect(SAMPLE("java") SAMPLE("other") SAMPLE("java"), "java;org/X:::run 10 2\nother;Lorg/X:::run 5 1\n");
    fg_read_options o = options();
    o.addresses = true;
    expect_with(
        "a 1 2.0: 5 cycles: \n" FRAME("    7f1111111110", "[unknown] (/bin/x)")
            FRAME("    7f1111111114", "[unknown] (/bin/x)") FRAME("    7f1111111115", "[unknown] ([unknown])")
                FRAME("    7f1111111110", "[unknown] (/bin/x)") "\n",
        &o, "a;[x <7f1111111110>];[unknown <7f1111111115>];[x <7f1111111114>];[x <7f1111111110>] 5 1\n");
}

/* ---- metadata -------------------------------------------------------------------------------------------------------- */

static void values_are_periods_and_samples(void **state) {
    (void)state;
    fg_profile *p = read_text("a 1 2.0: 5 cycles: \n" F("f") "\na 1 2.5: 7 cycles:u: \n" F("f") "\n");
    assert_string_equal(text_of(p), "a;f 12 2\n");
    assert_string_equal(fg_profile_type(p, 0).name, "cycles");
    assert_string_equal(fg_profile_type(p, 0).unit, "count");
    assert_string_equal(fg_profile_type(p, 1).name, "samples");
    assert_string_equal(fg_meta_text(p, "period_type"), "cycles/count");
    assert_int_equal(fg_profile_find_type(p, NULL), 0);
    assert_int_equal(fg_meta_number(p, "period"), 0);
    assert_int_equal(fg_meta_number(p, "duration"), 500000000);
    fg_profile_free(p);

    p = read_text("a 1 2.0: 1001001 cpu-clock: \n" F("f") "\n");
    assert_string_equal(fg_profile_type(p, 0).unit, "nanoseconds");
    assert_int_equal(fg_meta_number(p, "period"), 1001001);
    fg_profile_free(p);

    /* perf pads the names of several events: samples are counted then, as others do */
    p = read_text("a 1 2.0: 1001001  cpu-clock: \n" F("f") "\n");
    assert_int_equal(fg_profile_find_type(p, NULL), 1);
    assert_int_equal(fg_profile_total(p, 0), 1001001);
    fg_profile_free(p);
}

static void metadata_is_read(void **state) {
    (void)state;
    fg_profile *p = read_text("# ========\n# captured on    : Mon Nov 23 21:14:02 2026\n# hostname : db 1\n"
                              "# cmdline : /usr/bin/perf record -g ./a \n# ========\n#\n"
                              "a 1 10.000001000: cycles: \n" F("f") "\na 1 12.000001: cycles: \n" F(
                                  "f") "\n"
                                       "# hostname : other\nweird\n\n");
    assert_string_equal(fg_meta_text(p, "source"), "perf script");
    assert_string_equal(fg_meta_text(p, "collector"), "perf");
    assert_string_equal(fg_meta_text(p, "host"), "db 1");
    assert_string_equal(fg_meta_text(p, "target"), "/usr/bin/perf record -g ./a");
    assert_int_equal(fg_meta_number(p, "duration"), 2000000000);
    assert_int_equal(fg_meta_number(p, "samples"), 2);
    assert_string_equal(fg_profile_note_at(p, 0),
                        "lines that were not understood and left out: 1, line 14 the first");
    fg_profile_free(p);

    /* --deltatime prints differences: they say nothing of the whole */
    p = read_text("a 1 10.0: cycles: \n" F("f") "\na 1 2.0: cycles: \n" F("f") "\n");
    assert_int_equal(fg_meta_number(p, "duration"), 0);
    fg_profile_free(p);
}

static void cut_stacks_are_counted(void **state) {
    (void)state;
    char text[16384] = "a 1 2.0: 5 cycles: \n" FRAME("              10", "leaf (inlined)");
    for (int i = 0; i < 127; i++) strcat(text, F("f"));
    strcat(text, "\na 1 2.0: 5 cycles: \n" F("f") F("f") "\n");
    fg_profile *p = read_text(text);
    assert_int_equal(fg_meta_number(p, "samples"), 2);
    assert_int_equal(fg_meta_number(p, "truncated"), 1);
    fg_profile_free(p);
}

/* ---- errors and hostile text ------------------------------------------------------------------------------------------ */

static void errors_say_what_to_do(void **state) {
    (void)state;
    expect_error("PERFILE2\1\2\3", NULL, FG_EFORMAT, "this looks like perf.data");
    expect_error("# comment\n\nhello world\n", NULL, FG_EFORMAT,
                 "x.txt: perf-script, line 3: expected \"COMMAND PID TIME: EVENT:\"");
    expect_error("# comment\n\n", NULL, FG_EEMPTY, "no samples");
    expect_error("a 1 2.0: 5 cycles: \na 1 2.1: 5 cycles: \n", NULL, FG_EEMPTY,
                 "none of the 2 samples has a stack: record with `perf record -g`");
    static const char two[] = "a 1 2.0: 5 cycles:u: \n" F("f") "\na 1 2.0: 5 sched:x: \n" F("f") "\n";
    expect_error(two, "instructions", FG_EEMPTY,
                 "no sample of the event \"instructions\"; there are: cycles:u sched:x");
    expect_error(two, "cycles:k", FG_EEMPTY, "no sample of the event \"cycles:k\"");
    expect_error("a 1 2.0: 9223372036854775807 cycles: \n" F("f") "\na 1 2.0: 1 cycles: \n" F("f") "\n", NULL,
                 FG_ELIMIT, "2^63");
}

static void names_are_cleaned(void **state) {
    (void)state;
    static const char text[] = "a\033\0b 1 2.0: 5 cycles: \n\t              12 f\0g\xff;h (/bin/x)\n\n";
    fg_read_options o = options();
    fg_profile *p;
    assert_int_equal(fg_parse(&p, ctx, text, sizeof text - 1, &o), 0);
    assert_string_equal(text_of(p), "a\xef\xbf\xbd"
                                    "b;f\xef\xbf\xbdg\xef\xbf\xbd:h 5 1\n");
    fg_profile_free(p);
}

static void deep_stacks_and_long_lines_are_read(void **state) {
    (void)state;
    enum { DEEP = 100000, LONG = 3 << 20 };
    fg__buffer text = {0};
    static const char event[] = "a 1 2.0: 5 cycles: \n";
    assert_int_equal(fg__buffer_add(ctx, &text, event, sizeof event - 1), 0);
    for (int i = 0; i < DEEP; i++) assert_int_equal(fg__buffer_add(ctx, &text, F("f"), sizeof F("f") - 1), 0);
    assert_int_equal(fg__buffer_add(ctx, &text, "\t              12 ", 18), 0);
    for (int i = 0; i < LONG; i++) assert_int_equal(fg__buffer_add(ctx, &text, "y", 1), 0);
    assert_int_equal(fg__buffer_add(ctx, &text, " (/bin/x)\n" F("main"), 10 + sizeof F("main") - 1), 0);
    fg_profile *p = read_text(text.bytes);
    size_t n;
    fg_profile_stack(p, 0, &n);
    assert_int_equal(n, DEEP + 3);
    assert_int_equal(fg__string_at(p, fg__frame_at(p, 2)->name).n, FG__STRING_MAX);
    fg_profile_free(p);
    fg_free(ctx, text.bytes);
}

static void memory_may_run_out(void **state) {
    (void)state;
    char *text = load(PERF_FOLDER "/names.txt");
    fg_read_options o = options();
    assert_in_range(read_poorly(text, strlen(text), &o), 50, 100000);
    free(text);
}

/* A pipe's small windows make no difference. */
static void windows_make_no_difference(void **state) {
    (void)state;
    char *text = load(PERF_FOLDER "/node.txt.gz");
    fg_read_options o = options();
    fg_profile *whole = read_text(text), *piped;
    int ends[2], null = dup(STDIN_FILENO);
    assert_true(pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) >= 0);
    pid_t child = fork();
    if (child == 0) {
        for (size_t at = 0, n = strlen(text); at < n; at += 997) {
            size_t part = n - at < 997 ? n - at : 997;
            if (write(ends[1], text + at, part) != (ssize_t)part) _exit(1);
        }
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(fg_read(&piped, ctx, "-", &o), 0);
    assert_int_equal(fg_profile_stack_count(piped), fg_profile_stack_count(whole));
    for (size_t t = 0; t < 2; t++) assert_int_equal(fg_profile_total(piped, t), fg_profile_total(whole, t));
    assert_true(dup2(null, STDIN_FILENO) >= 0);
    close(ends[0]), close(null);
    fg_profile_free(piped);
    fg_profile_free(whole);
    free(text);
}

static void it_is_recognised(void **state) {
    (void)state;
    static const char *const texts[] = {
        "a 1 2.0: 5 cycles: \n" F("f") "\n", "a 1: cycles:\n" F("f") "\n",
        "# ========\n# captured on    : Mon Nov 23 21:14:02 2026\n# ========\n", "\n" F("f") "\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_in_range(fg__perf_script.probe((const uint8_t *)texts[i], strlen(texts[i])), 70, 100);
    static const char *const others[] = {"main;f 3\n", "{\"a\": 1}", "hello world 12\nmore: text\n", ""};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(fg__perf_script.probe((const uint8_t *)others[i], strlen(others[i])), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_inferno),
        cmocka_unit_test(fields_may_be_missing),
        cmocka_unit_test(frames_may_have_no_module),
        cmocka_unit_test(modules_may_have_spaces),
        cmocka_unit_test(tracepoints_have_payloads),
        cmocka_unit_test(events_need_no_frames),
        cmocka_unit_test(records_are_no_samples),
        cmocka_unit_test(arrows_are_not_always_inlining),
        cmocka_unit_test(lines_end_where_they_end),
        cmocka_unit_test(frames_have_kinds_and_modules),
        cmocka_unit_test(source_lines_are_kept),
        cmocka_unit_test(the_same_line_is_not_always_the_same),
        cmocka_unit_test(values_are_periods_and_samples),
        cmocka_unit_test(metadata_is_read),
        cmocka_unit_test(cut_stacks_are_counted),
        cmocka_unit_test(errors_say_what_to_do),
        cmocka_unit_test(names_are_cleaned),
        cmocka_unit_test(deep_stacks_and_long_lines_are_read),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(windows_make_no_difference),
        cmocka_unit_test(it_is_recognised),
    };
    return cmocka_run_group_tests_name("perf script", tests, open_ctx, close_ctx);
}
