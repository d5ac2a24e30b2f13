/* The map from words to numbers: what is not needed for each look-up. */
#include "formats/words.h"

#define ONES 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
const uint8_t fg__word_mask[2 * FG__WORD_HEAD] = {ONES, ONES, ONES, ONES, ONES, ONES, ONES};

/* The list is to begin at a cache line, which realloc would not keep. */
static int grow(fg_ctx *ctx, fg__words *words) {
    enum { FIRST = 64 };
    if (words->count < words->cap) return 0;
    size_t cap = words->cap ? 2 * words->cap : FIRST, line = sizeof *words->list;
    if (cap > SIZE_MAX / line - 1) return fg__nomem(ctx);
    char *block = fg__alloc(ctx, (cap + 1) * line);
    if (!block) return FG_ENOMEM;
    fg__word *list = (fg__word *)(void *)(block + (-(uintptr_t)block & (line - 1)));
    if (words->count) memcpy(list, words->list, words->count * line);
    fg_free(ctx, words->block);
    words->block = block;
    words->list = list;
    words->cap = cap;
    return 0;
}

int fg__words_add(fg_ctx *ctx, fg__words *words, const fg__sought *sought, uint64_t hash) {
    _Static_assert(sizeof(fg__word) == 64, "a word is a cache line");
    size_t i = words->count, n = sought->word.n;
    int err = grow(ctx, words);
    if (!err) err = fg__grow(ctx, &words->tails, &words->tail_cap, i + 1, sizeof *words->tails);
    if (err) return err;
    words->list[i] = sought->word;
    words->tails[i] = NULL;
    if (n > FG__WORD_HEAD) {
        const char *tail = (const char *)sought->text + FG__WORD_HEAD;
        words->tails[i] = fg__arena_copy(ctx, &words->arena, tail, n - FG__WORD_HEAD);
        if (!words->tails[i]) return FG_ENOMEM;
    }
    err = fg__table_reserve(ctx, &words->index, 3 * (i + 1)); /* sparse: hardly a second look */
    if (!err) err = fg__table_add(ctx, &words->index, hash, (uint32_t)i);
    if (!err) words->count++;
    return err;
}

void fg__words_free(fg_ctx *ctx, fg__words *words) {
    fg_free(ctx, words->block);
    fg_free(ctx, words->tails);
    fg_free(ctx, words->index.slots);
    fg__arena_free(ctx, &words->arena);
}
