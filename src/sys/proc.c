/* Small files that the kernel makes. */
#include "sys/proc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fg__proc_text(char *text, size_t size, const char *path) {
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(text, 1, size - 1, file) : 0;
    if (file) fclose(file);
    text[n] = '\0';
    return n > 0;
}

bool fg__proc_line(char *text, size_t size, const char *path) {
    bool there = fg__proc_text(text, size, path);
    text[strcspn(text, "\n")] = '\0';
    return there;
}

long fg__proc_number(const char *path, long otherwise) {
    char text[32];
    return fg__proc_text(text, sizeof text, path) ? strtol(text, NULL, 10) : otherwise;
}
