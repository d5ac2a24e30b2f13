/* The events of a recording: what they are called, and the columns of the profile that they become. */
#include <stdio.h>
#include <stdlib.h>
#include "formats/perf_data.h"

/* Names of the events that are numbers, as the kernel counts them; "dummy" is there for perf's own sake. */
static const char *const hardware[] = {
    "cycles",        "instructions", "cache-references",        "cache-misses",           "branches",
    "branch-misses", "bus-cycles",   "stalled-cycles-frontend", "stalled-cycles-backend", "ref-cycles"};
static const char *const software[] = {"cpu-clock",        "task-clock",   "page-faults",  "context-switches",
                                       "cpu-migrations",   "minor-faults", "major-faults", "alignment-faults",
                                       "emulation-faults", "dummy",        "bpf-output",   "cgroup-switches"};
enum { HARDWARE = 0, SOFTWARE = 1, DUMMY = 9 };

static int by_id(const void *a, const void *b) {
    const fg__perf_id *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void name_by_number(fg__perf_attr *a) {
    const char *name = NULL;
    if (a->type == HARDWARE && a->config < sizeof hardware / sizeof *hardware) name = hardware[a->config];
    if (a->type == SOFTWARE && a->config < sizeof software / sizeof *software) name = software[a->config];
    if (name)
        snprintf(a->name, sizeof a->name, "%s", name);
    else
        snprintf(a->name, sizeof a->name, "event-%u-0x%llx", a->type, (unsigned long long)a->config);
}

void fg__perf_attrs_done(fg__recording *d) {
    if (d->id_count) qsort(d->ids, d->id_count, sizeof *d->ids, by_id);
    for (size_t i = 0; i < d->attr_count; i++)
        if (!d->attrs[i].name[0]) name_by_number(&d->attrs[i]);
}

void fg__perf_set_name(fg__perf_attr *a, fg__slice name) {
    size_t n = name.n < sizeof a->name - 1 ? name.n : sizeof a->name - 1;
    memcpy(a->name, name.p, n);
    a->name[n] = '\0';
}

/* ---- columns ------------------------------------------------------------------------------------------- */

/* Without the modifiers: "cycles" of "cycles:u", but all of "sched:sched_switch". */
static fg__slice base_of(const char *name) {
    const char *colon = strrchr(name, ':');
    size_t n = strlen(name);
    bool modifiers =
        colon && colon > name && colon[1] && strspn(colon + 1, "ukhGHpPSDIWebR") == strlen(colon + 1);
    return (fg__slice){name, modifiers ? (size_t)(colon - name) : n};
}

/* Whether it is the event that was asked for: "cycles" is "cycles:u" too, and "sched" each event of that group. */
static bool is_asked_for(const fg__perf_attr *a, const char *event) {
    fg__slice name = {a->name, strlen(a->name)};
    size_t n = strlen(event);
    return fg__slice_starts(name, event) && (name.n == n || name.p[n] == ':');
}

static int add_column(fg__recording *d, fg__slice name) {
    char text[sizeof d->attrs->name];
    snprintf(text, sizeof text, "%.*s", (int)name.n, name.p);
    bool clock = strcmp(text, "cpu-clock") == 0 || strcmp(text, "task-clock") == 0;
    return fg_profile_add_type(d->p, text, clock ? "nanoseconds" : "count");
}

/* The column of the event, which may be one that an event of the same name has already; -1: none is left for it. */
static int set_column(fg__recording *d, fg__perf_attr *a) {
    fg__slice name = base_of(a->name);
    for (const fg__perf_attr *b = d->attrs; b < a; b++) {
        fg__slice other = base_of(b->name);
        if (b->column < 0 || other.n != name.n || memcmp(other.p, name.p, name.n) != 0) continue;
        a->column = b->column;
        return 0;
    }
    if (d->column_count == FG_MAX_TYPES) return 0;
    a->column = (int)d->column_count++;
    return a == d->waits.attr ? fg_profile_add_type(d->p, "offcpu", "nanoseconds") : add_column(d, name);
}

int fg__perf_set_columns(fg__recording *d) {
    const char *event = d->options->event;
    int err = 0;
    if (event && strlen(event) >= sizeof d->attrs->name) event = "";
    for (size_t i = 0; i < d->attr_count && !err; i++) {
        fg__perf_attr *a = &d->attrs[i];
        a->column = -1;
        if (!event && !(a->type == SOFTWARE && a->config == DUMMY))
            err = set_column(d, a);
        else if (event && is_asked_for(a, event)) {
            if (!d->column_count++) err = add_column(d, base_of(event));
            a->column = 0;
        }
    }
    if (event && d->column_count) d->column_count = 1;
    if (!d->column_count)
        return err ? err : add_column(d, (fg__slice){"none", 4}); /* no sample will be read */
    return err || d->column_count > 1
               ? err
               : fg_profile_add_type(d->p, d->waits.attr ? "waits" : "samples", "count");
}

int fg__perf_event_names(fg__buffer *out, const fg__recording *d, bool with_column) {
    int err = 0;
    *out = (fg__buffer){0};
    for (size_t i = 0; i < d->attr_count && !err; i++) {
        const fg__perf_attr *a = &d->attrs[i];
        if ((a->column >= 0) != with_column || (a->type == SOFTWARE && a->config == DUMMY)) continue;
        if (out->n) err = fg__buffer_add(d->p->ctx, out, ", ", 2);
        if (!err) err = fg__buffer_add(d->p->ctx, out, a->name, strlen(a->name));
    }
    if (err) fg_free(d->p->ctx, out->bytes);
    return err;
}
