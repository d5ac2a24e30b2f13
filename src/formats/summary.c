/* Ranking for summaries. */
#include "formats/summary.h"
#include <math.h>
#include <stdlib.h>

double fg__share(double part, double sum) {
    return sum != 0 ? part / sum : 0;
}

static int by_change(const void *a, const void *b, void *user) {
    const fg__summary_row *x = a, *y = b;
    const fg_profile *p = user;
    double left = fabs(x->change), right = fabs(y->change);
    if (left != right) return left > right ? -1 : 1;
    left = fabs(x->total_change), right = fabs(y->total_change);
    if (left != right) return left > right ? -1 : 1;
    int order = strcmp(fg__frame_name(p, x->frame).bytes, fg__frame_name(p, y->frame).bytes);
    return order ? order : x->frame < y->frame ? -1 : x->frame > y->frame;
}

/* Put one column's ranking into the rows; place[frame] is a frame's row. */
static int add_column(fg__summary *s, uint32_t *place, size_t column, size_t side) {
    fg_top_entry *top;
    size_t n;
    int err = fg_profile_top(&top, &n, s->p, column, 0);
    if (err) return err;
    for (size_t i = 0; i < n; i++) {
        uint32_t *at = &place[top[i].frame];
        if (*at == FG__NONE) {
            *at = (uint32_t)s->count;
            s->rows[s->count++].frame = top[i].frame;
        }
        s->rows[*at].self[side] = top[i].self;
        s->rows[*at].total[side] = top[i].total;
    }
    s->sum[side] = fg_profile_total(s->p, column);
    fg_free(s->p->ctx, top);
    return 0;
}

static void rank_changes(fg__summary *s) {
    for (size_t i = 0; i < s->count; i++) {
        fg__summary_row *row = &s->rows[i];
        row->change = (double)row->self[1] * s->factor - (double)row->self[0];
        row->total_change = (double)row->total[1] * s->factor - (double)row->total[0];
    }
    qsort_r(s->rows, s->count, sizeof *s->rows, by_change, s->p);
}

int fg__summary_make(fg__summary *s, fg_profile *p, const fg_write_options *options) {
    *s = (fg__summary){.p = p, .diff = fg_profile_is_diff(p)};
    int type = s->diff ? 0 : fg_profile_find_type(p, options->type);
    if (type < 0) return fg__fail_type(p, "", options->type);
    s->type = (size_t)type;
    s->factor = fg_meta_real(p, "factor") > 0 ? fg_meta_real(p, "factor") : 1;
    s->rows = fg__calloc(p->ctx, p->frame_count, sizeof *s->rows);
    uint32_t *place = fg__frame_map(p->ctx, p);
    int err = s->rows && place ? add_column(s, place, s->type, 0) : FG_ENOMEM;
    if (!err && s->diff) err = add_column(s, place, 1, 1);
    if (!err && s->diff) rank_changes(s);
    fg_free(p->ctx, place);
    return err;
}

void fg__summary_free(fg__summary *s) {
    fg_free(s->p->ctx, s->rows);
}
