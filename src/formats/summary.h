/* What every summary (JSON, Markdown) says: the functions of a profile, ranked; of a diff, by how much they
 * changed. */
#ifndef FG_SUMMARY_H
#define FG_SUMMARY_H

#include "formats/format.h"

typedef struct fg__summary_row {
    uint32_t frame;
    int64_t self[2], total[2]; /* [0]: the value, or before; [1]: after, of a diff */
    double change;             /* of self, after × factor − before */
    double total_change;
} fg__summary_row;

typedef struct fg__summary {
    fg_profile *p;
    bool diff;
    size_t type;   /* column shown; of a diff: 0 */
    double factor; /* what `after` is multiplied with */
    int64_t sum[2];
    fg__summary_row *rows; /* ranked by self, of a diff by the size of the change */
    size_t count;
} fg__summary;

/* Freed with fg__summary_free, also after an error. options->type names the column. */
int fg__summary_make(fg__summary *s, fg_profile *p, const fg_write_options *options);
void fg__summary_free(fg__summary *s);
/* part of sum as a share from 0 to 1; 0 where there is nothing. */
double fg__share(double part, double sum);

#endif
