/*
 * pprof: profile.proto's field numbers, and the halves of the format.
 *
 *   pprof_tables.c  strings, mappings, functions, locations: what a sample's location stands for
 *   pprof_read.c    the messages of a profile, its samples
 *   pprof_prune.c   drop_frames and keep_frames
 *   pprof_write.c   the way back
 *
 * Samples usually come first and what they refer to behind them, so the input is gathered whole (a mapped
 * file is used in place) and gone over twice: tables, then samples.
 */
#ifndef FG_PPROF_H
#define FG_PPROF_H

#include "formats/format.h"
#include "formats/ids.h"
#include "formats/wire.h"

/* Fields, as numbered in profile.proto. */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE,
    PROFILE_MAPPING,
    PROFILE_LOCATION,
    PROFILE_FUNCTION,
    PROFILE_STRING,
    PROFILE_DROP_FRAMES,
    PROFILE_KEEP_FRAMES,
    PROFILE_TIME,
    PROFILE_DURATION,
    PROFILE_PERIOD_TYPE,
    PROFILE_PERIOD,
    PROFILE_COMMENT,
    PROFILE_DEFAULT_TYPE,
    PROFILE_DOC_URL,
    PROFILE_FIELDS,

    TYPE_NAME = 1,
    TYPE_UNIT,
    TYPE_FIELDS,

    SAMPLE_LOCATION = 1,
    SAMPLE_VALUE,
    SAMPLE_LABEL,

    MAPPING_ID = 1,
    MAPPING_START,
    MAPPING_LIMIT,
    MAPPING_OFFSET,
    MAPPING_FILENAME,
    MAPPING_BUILD_ID,
    MAPPING_HAS_FUNCTIONS,
    MAPPING_HAS_FILENAMES,
    MAPPING_HAS_LINES,
    MAPPING_HAS_INLINED,
    MAPPING_FIELDS,

    LOCATION_ID = 1,
    LOCATION_MAPPING,
    LOCATION_ADDRESS,
    LOCATION_LINE,
    LOCATION_FOLDED,
    LOCATION_FIELDS,

    LINE_FUNCTION = 1,
    LINE_LINE,
    LINE_COLUMN,
    LINE_FIELDS,

    FUNCTION_ID = 1,
    FUNCTION_NAME,
    FUNCTION_SYSTEM_NAME,
    FUNCTION_FILENAME,
    FUNCTION_START_LINE,
    FUNCTION_FIELDS
};

/* Messages of one kind, in the order of the input. */
typedef struct pprof_list {
    fg__wire *at;
    size_t n, cap;
} pprof_list;

typedef struct pprof_mapping {
    uint32_t filename;
    bool kernel;
} pprof_mapping;

typedef struct pprof_function {
    uint32_t name, file, line;
} pprof_function;

/* The tables of a profile. */
typedef struct pprof {
    fg_profile *p;
    fg_in *in;
    fg_ctx *ctx;
    bool lines;

    pprof_list lists[PROFILE_STRING + 1]; /* by field; samples are not listed */
    pprof_list comments;                  /* each holds one number or several */
    uint64_t scalars[PROFILE_FIELDS];
    fg__wire period_type;
    fg__wire samples; /* from the first to the last */

    uint32_t *strings; /* [index in the table]: interned string + 1; 0: not yet */
    pprof_mapping *mappings;
    pprof_function *functions;
    fg__ids mapping_ids, function_ids, location_ids;

    /* frames of location i, innermost first: location_frames[location_start[i] … location_start[i + 1]) */
    uint32_t *location_frames, *location_start;
    size_t frame_count, frame_cap;
    uint8_t *pruned; /* [frame]: drop_frames has it; NULL: no such pattern */
} pprof;

/* The input, set to a place, for fg__in_fail_byte. */
fg_in *fg__pprof_at(pprof *f, const uint8_t *place);
/* Read all fields that are plain numbers: values[number], others are skipped. */
int fg__pprof_scalars(pprof *f, fg__wire w, uint64_t *values, uint32_t fields);
/* String `index` of the table, interned. `place` is for messages. */
int fg__pprof_string(uint32_t *out, pprof *f, uint64_t index, const uint8_t *place);
/* Fill the tables from the lists. */
int fg__pprof_tables(pprof *f);
/* Mark the frames that drop_frames takes out. */
int fg__pprof_prune(pprof *f);

int fg__pprof_read(fg_profile *p, fg_in *in, const fg_read_options *options);
int fg__pprof_write(fg_out *out, fg_profile *p, const fg_write_options *options);

#endif
