/* Small files that the kernel makes, of /proc and /sys. */
#ifndef FG_SYS_PROC_H
#define FG_SYS_PROC_H

#include <stdbool.h>
#include <stddef.h>

/* The beginning of a file, as a text of less than `size` bytes. False, and "": it cannot be read, or is empty. */
bool fg__proc_text(char *text, size_t size, const char *path);
/* Its first line, without the end of the line. */
bool fg__proc_line(char *text, size_t size, const char *path);
/* The number that it begins with; `otherwise` where it cannot be read. */
long fg__proc_number(const char *path, long otherwise);

#endif
