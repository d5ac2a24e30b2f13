/*
 * Where the separators are, found many bytes at a time: line readers make an index of a chunk of text first
 * and then go from mark to mark, instead of looking at each byte.
 */
#ifndef FG_SCAN_H
#define FG_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* Room that `marks` has beyond one entry for each byte of text: marks are written four at a time. */
enum { FG__SCAN_SLACK = 4 };

/*
 * Find each byte that is `a` or `b` in text[0 … n), n < 2^32. Sets marks[] to their places in ascending order
 * and returns how many there are.
 */
size_t fg__scan(uint32_t *marks, const uint8_t *text, size_t n, uint8_t a, uint8_t b);

#endif
