/* The table of samplers. */
#include "sample/sample.h"

extern const fg__sampler_kind fg__bun_sampler;
extern const fg__sampler_kind fg__dotnet_sampler;
extern const fg__sampler_kind fg__jemalloc_sampler;
extern const fg__sampler_kind fg__malloc_sampler;
extern const fg__sampler_kind fg__offcpu_bpf_sampler;
extern const fg__sampler_kind fg__offcpu_events_sampler;
extern const fg__sampler_kind fg__perf_sampler;
extern const fg__sampler_kind fg__python_sampler;
extern const fg__sampler_kind fg__tracemalloc_sampler;

static const fg__sampler_kind *const samplers[] = {
    &fg__bun_sampler,         &fg__dotnet_sampler,
    &fg__jemalloc_sampler,    &fg__malloc_sampler,
    &fg__offcpu_bpf_sampler,  &fg__offcpu_events_sampler,
    &fg__perf_sampler,        &fg__python_sampler,
    &fg__tracemalloc_sampler, NULL,
};

const fg__sampler_kind *fg__sampler_at(size_t i) {
    size_t count = sizeof samplers / sizeof *samplers - 1;
    return i < count ? samplers[i] : NULL;
}

const fg__sampler_kind *fg__sampler_named(const char *name) {
    const fg__sampler_kind *const *kind = samplers;
    while (*kind && strcmp((*kind)->name, name) != 0) kind++;
    return *kind;
}
