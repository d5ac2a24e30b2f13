/*
 * Words and what they stand for: a map from text to numbers for readers that meet the same few thousand names millions
 * of times. Finding one has no branch that depends on its length, up to 56 bytes, since such branches are mispredicted
 * as often as not: the first 56 bytes are taken as seven 64-bit words, with zeros behind the end. So an entry is a cache
 * line, and the list begins with one.
 */
#ifndef FG_WORDS_H
#define FG_WORDS_H

#include "core/core.h"

enum { FG__WORD_LANES = 7, FG__WORD_HEAD = 8 * FG__WORD_LANES };

typedef struct fg__word {
    uint64_t head[FG__WORD_LANES];
    uint32_t n, value;
} fg__word;

/* A word that is looked for. */
typedef struct fg__sought {
    fg__word word;
    const uint8_t *text;
} fg__sought;

typedef struct fg__words {
    fg__word *list;
    void *block; /* that the list lies in */
    size_t count, cap;
    const char **tails; /* of each word: what is behind its head, NULL: nothing */
    size_t tail_cap;
    fg__table index;
    fg__arena arena;
} fg__words;

/* FG__WORD_HEAD bytes of ones and as many zeros: from its middle, less n, on, it keeps the first n bytes. */
extern const uint8_t fg__word_mask[2 * FG__WORD_HEAD];

/* Sets all but the value. Bytes from `text` to `end` can be read; `n` of them are the word. */
static inline void fg__word_load(fg__sought *sought, const uint8_t *text, uint32_t n, const uint8_t *end) {
    fg__word *word = &sought->word;
    uint8_t near_end[FG__WORD_HEAD];
    const uint8_t *from = text,
                  *mask = fg__word_mask + FG__WORD_HEAD - (n < FG__WORD_HEAD ? n : FG__WORD_HEAD);
    if (FG__UNLIKELY(end - text < FG__WORD_HEAD)) {
        memset(near_end, 0, sizeof near_end);
        memcpy(near_end, text, (size_t)(end - text));
        from = near_end;
    }
    memcpy(word->head, from, sizeof word->head);
#pragma GCC unroll 7
    for (int i = 0; i < FG__WORD_LANES; i++) {
        uint64_t keep;
        memcpy(&keep, mask + 8 * i, sizeof keep);
        word->head[i] &= keep;
    }
    sought->text = text;
    word->n = n;
}

static inline uint64_t fg__word_hash(const fg__sought *sought) {
    const fg__word *word = &sought->word;
    const uint64_t *w = word->head;
    uint64_t h = fg__mix(w[0] ^ 0x9e3779b97f4a7c15u, w[1] ^ 0xd6e8feb86659fd93u) +
                 fg__mix(w[2] ^ 0xa0761d6478bd642fu, w[3] ^ 0xe7037ed1a0b428dbu) +
                 fg__mix(w[4] ^ 0x8ebc6af09c88c6e3u, w[5] ^ 0x589965cc75374cc3u) +
                 fg__mix(w[6] ^ 0x1d8e4e27c47d124fu, 0xeb44accab455d165u);
    if (FG__UNLIKELY(word->n > FG__WORD_HEAD))
        h ^= fg__hash(sought->text + FG__WORD_HEAD, word->n - FG__WORD_HEAD);
    return fg__mix(h ^ word->n, 0x9e3779b97f4a7c15u);
}

static inline bool fg__word_same(const fg__words *words, uint32_t id, const fg__sought *sought) {
    const fg__word *known = &words->list[id], *word = &sought->word;
    uint64_t differ = known->n ^ word->n;
#pragma GCC unroll 7
    for (int i = 0; i < FG__WORD_LANES; i++) differ |= known->head[i] ^ word->head[i];
    if (FG__UNLIKELY(differ)) return false;
    return word->n <= FG__WORD_HEAD ||
           memcmp(words->tails[id], sought->text + FG__WORD_HEAD, word->n - FG__WORD_HEAD) == 0;
}

/* The word that was added with the same text, or NULL. */
static inline const fg__word *fg__words_find(const fg__words *words, const fg__sought *word, uint64_t hash) {
    const fg__table *t = &words->index;
    uint32_t id;
    for (uint32_t at = fg__table_first(t, hash); (id = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at))
        if (fg__table_maybe(t, at, hash) && fg__word_same(words, id, word)) return &words->list[id];
    return NULL;
}

/* For looking up several words at once: what a find will look at first, and then what it finds there. */
static inline void fg__words_prefetch_slot(const fg__words *words, uint64_t hash) {
    if (words->index.slots) __builtin_prefetch(&words->index.slots[fg__table_first(&words->index, hash)]);
}
static inline void fg__words_prefetch(const fg__words *words, uint64_t hash) {
    uint32_t id = fg__table_id(&words->index, fg__table_first(&words->index, hash));
    if (id != FG__NONE) __builtin_prefetch(&words->list[id]);
}

/* Add a word that is not there yet, with its value. */
int fg__words_add(fg_ctx *ctx, fg__words *words, const fg__sought *word, uint64_t hash);
void fg__words_free(fg_ctx *ctx, fg__words *words);

#endif
