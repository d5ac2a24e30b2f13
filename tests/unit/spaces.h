/* Symbols of this very process, for a test. */
#ifndef SPACES_H
#define SPACES_H

#include "profiles.h"
#include <unistd.h>
#include "symbols/symbols.h"

static fg_profile *profile;
static fg__symbols *symbols;
static fg__space *space;

/* A space of this process, its symbols made as `options` says. */
static void begin(const fg__symbols_options *options) {
    profile = new_profile("samples", "count");
    assert_int_equal(fg__symbols_new(&symbols, ctx, profile, options), 0);
    assert_int_equal(fg__space_new(&space, symbols, (uint32_t)getpid(), true), 0);
    assert_int_equal(fg__space_read(space), 0);
}

static void end(void) {
    fg__symbols_free(symbols);
    fg_profile_free(profile);
}

#endif
