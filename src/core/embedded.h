/* Files that are built into the library; cmake/embed.cmake writes the tables. */
#ifndef FG_EMBEDDED_H
#define FG_EMBEDDED_H

#include <stddef.h>

struct fg__embedded {
    const char *name;  /* path below the embedded folder; NULL ends a table */
    const char *bytes; /* NUL-terminated */
    size_t n;          /* without the NUL */
};

extern const struct fg__embedded
    fg__embedded_scripts[]; /* lua/: "flamegraph/cli.lua", "collectors/api.lua" … */
extern const struct fg__embedded fg__embedded_compiled[]; /* the same files, compiled (cmake/compile.lua) */
extern const struct fg__embedded fg__embedded_payloads[]; /* src/sample/payloads/: what runs in the target */
extern const struct fg__embedded
    fg__embedded_inject[]; /* src/sample/inject/, compiled: machine code for a target */
extern const struct fg__embedded fg__embedded_bpf[];    /* src/sample/bpf/, compiled: "offcpu.o" */
extern const struct fg__embedded fg__embedded_viewer[]; /* src/render/viewer/: "viewer.js", "viewer.css" */

#endif
