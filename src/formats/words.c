/* The map from words to numbers: what is not needed for each look-up. */
#include "formats/words.h"

#define ONES 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
const uint8_t fg__word_mask[2 * FG__WORD_HEAD] = {ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES};

int fg__words_add(fg_ctx *ctx, fg__words *words, const fg__word *word, uint64_t hash) {
    int err = fg__grow(ctx, &words->list, &words->cap, words->count + 1, sizeof *words->list);
    if (err) return err;
    fg__word *added = &words->list[words->count];
    *added = *word;
    added->text = NULL;
    if (word->n > FG__WORD_HEAD) {
        const char *tail = (const char *)word->text + FG__WORD_HEAD;
        added->text = (uint8_t *)fg__arena_copy(ctx, &words->tails, tail, word->n - FG__WORD_HEAD);
        if (!added->text) return FG_ENOMEM;
    }
    err = fg__table_reserve(ctx, &words->index, 3 * (words->count + 1)); /* sparse: hardly a second look */
    if (!err) err = fg__table_add(ctx, &words->index, hash, (uint32_t)words->count);
    if (!err) words->count++;
    return err;
}

void fg__words_free(fg_ctx *ctx, fg__words *words) {
    fg_free(ctx, words->list);
    fg_free(ctx, words->index.slots);
    fg__arena_free(ctx, &words->tails);
}
