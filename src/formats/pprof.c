/* pprof: the row of the table, and what is recognised. */
#include "formats/pprof.h"

/* Whether the inside is a row of varints, with messages or packed numbers among them where there may be some.
 */
static bool is_message(const fg__field *field, bool nested) {
    if (field->type != FG__WIRE_BYTES) return false;
    fg__wire w = fg__wire_inside(field);
    fg__field inner;
    while (fg__wire_next(&w, &inner)) {
        if (inner.number >= MAPPING_FIELDS) return false; /* no message has more */
        if (inner.type != FG__WIRE_VARINT && !(nested && inner.type == FG__WIRE_BYTES)) return false;
    }
    return !w.wrong;
}

static bool plausible(const fg__field *field) {
    switch (field->number) {
    case PROFILE_SAMPLE:
    case PROFILE_LOCATION: return is_message(field, true);
    case PROFILE_SAMPLE_TYPE:
    case PROFILE_MAPPING:
    case PROFILE_FUNCTION:
    case PROFILE_PERIOD_TYPE: return is_message(field, false);
    case PROFILE_STRING: return field->type == FG__WIRE_BYTES;
    case PROFILE_COMMENT: return field->type == FG__WIRE_BYTES || field->type == FG__WIRE_VARINT;
    default: return field->number < PROFILE_FIELDS && field->type == FG__WIRE_VARINT;
    }
}

/* Every field that is whole within the head must be one of a profile's. */
static int probe(const uint8_t *head, size_t n) {
    fg__wire w = {head, head + n, NULL};
    fg__field field;
    int messages = 0;
    while (fg__wire_next(&w, &field)) {
        if (!plausible(&field)) return 0;
        messages += field.type == FG__WIRE_BYTES && field.value > 0;
    }
    return messages == 0 ? 0 : w.wrong && n < 256 ? 40 : 90;
}

const fg_format fg__pprof = {
    .name = "pprof",
    .summary = "profile.proto, as written by Go, pprof-rs, Parca, Pyroscope and many others",
    .suffixes = ".pb.gz .pprof .pb .pprof.gz",
    .probe = probe,
    .read = fg__pprof_read,
    .write = fg__pprof_write,
};
