/*
 * libcurl, loaded with the first request. What it brings along (two TLS libraries, Kerberos, LDAP, …) takes several
 * milliseconds to load and to start, which is more than most commands take that ask nobody anything.
 *
 * Each function of libcurl's that is used in this folder stands here under its own name, hidden from everybody else, and
 * hands over to the real one; so a function that is missing here is missed by the linker.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <uv.h>
#include "sys/multi.h"

/* X(result, name, parameters, arguments) */
#define FUNCTIONS(X)                                                                                         \
    X(CURL *, curl_easy_init, (void), ())                                                                    \
    X(void, curl_easy_cleanup, (CURL * easy), (easy))                                                        \
    X(void, curl_easy_reset, (CURL * easy), (easy))                                                          \
    X(CURLcode, curl_easy_recv, (CURL * easy, void *to, size_t size, size_t *n), (easy, to, size, n))        \
    X(CURLcode, curl_easy_send, (CURL * easy, const void *from, size_t size, size_t *n),                     \
      (easy, from, size, n))                                                                                 \
    X(const char *, curl_easy_strerror, (CURLcode code), (code))                                             \
    X(void, curl_free, (void *memory), (memory))                                                             \
    X(CURLM *, curl_multi_init, (void), ())                                                                  \
    X(CURLMcode, curl_multi_cleanup, (CURLM * multi), (multi))                                               \
    X(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL * easy), (multi, easy))                         \
    X(CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL * easy), (multi, easy))                      \
    X(CURLMcode, curl_multi_assign, (CURLM * multi, curl_socket_t socket, void *user),                       \
      (multi, socket, user))                                                                                 \
    X(CURLMsg *, curl_multi_info_read, (CURLM * multi, int *left), (multi, left))                            \
    X(CURLMcode, curl_multi_socket_action, (CURLM * multi, curl_socket_t socket, int what, int *running),    \
      (multi, socket, what, running))                                                                        \
    X(const char *, curl_multi_strerror, (CURLMcode code), (code))                                           \
    X(struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *line), (list, line))    \
    X(void, curl_slist_free_all, (struct curl_slist * list), (list))                                         \
    X(void, curl_url_cleanup, (CURLU * url), (url))                                                          \
    X(CURLUcode, curl_url_get, (CURLU * url, CURLUPart part, char **text, unsigned flags),                   \
      (url, part, text, flags))                                                                              \
    X(CURLUcode, curl_url_set, (CURLU * url, CURLUPart part, const char *text, unsigned flags),              \
      (url, part, text, flags))

/* Those that take one argument more, of any type: long, curl_off_t or a pointer, which are passed alike. */
#define VARIADIC(X)                                                                                          \
    X(CURLcode, curl_easy_setopt, CURL *, CURLoption)                                                        \
    X(CURLcode, curl_easy_getinfo, CURL *, CURLINFO)                                                         \
    X(CURLMcode, curl_multi_setopt, CURLM *, CURLMoption)
_Static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *), "passed alike");

static struct {
    __typeof__(curl_global_init) *curl_global_init;
    __typeof__(curl_url) *curl_url;
#define MEMBER(result, name, ...) __typeof__(name) *name;
    FUNCTIONS(MEMBER) VARIADIC(MEMBER)
} real;

static const struct {
    const char *name;
    size_t at;
} rows[] = {
#define ROW(result, name, ...) {#name, offsetof(__typeof__(real), name)},
    ROW(, curl_global_init) ROW(, curl_url) FUNCTIONS(ROW) VARIADIC(ROW)};

static char missing[512]; /* why it cannot be used; empty: it can */

static void load(void) {
    void *library = dlopen(FG_LIBCURL, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < sizeof rows / sizeof *rows; i++) {
        void *function = dlsym(library, rows[i].name);
        if (!function) library = NULL;
        memcpy((char *)&real + rows[i].at, &function, sizeof function);
    }
    const char *why = library ? "" : dlerror();
    snprintf(missing, sizeof missing, "%s", why ? why : FG_LIBCURL);
}

static bool is_loaded(void) {
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, load);
    return !*missing;
}

int fg__curl_load(fg_ctx *ctx) {
    if (is_loaded()) return 0;
    return fg__fail(ctx, FG_EUNSUPPORTED, "requests need libcurl, which cannot be loaded: %s", missing);
}

/* ---- under their own names ----------------------------------------------------------------------------- */

/* For the linker they have libcurl's names; for the compiler not, as types differ between releases in a `const`. */
#define FORWARD(result, name, parameters, arguments)                                                         \
    result fg__##name parameters __asm__(#name);                                                             \
    result fg__##name parameters {                                                                           \
        return real.name arguments;                                                                          \
    }
FUNCTIONS(FORWARD)

#define FORWARD_VARIADIC(result, name, handle, option)                                                       \
    result fg__##name(handle first, option what, ...) __asm__(#name);                                        \
    result fg__##name(handle first, option what, ...) {                                                      \
        va_list list;                                                                                        \
        va_start(list, what);                                                                                \
        void *argument = va_arg(list, void *);                                                               \
        va_end(list);                                                                                        \
        return (real.name)(first, what, argument);                                                           \
    }
VARIADIC(FORWARD_VARIADIC)

/* These two come before all others, and can say that there is none. */
CURLcode curl_global_init(long flags) {
    return is_loaded() ? real.curl_global_init(flags) : CURLE_FAILED_INIT;
}

CURLU *curl_url(void) {
    return is_loaded() ? real.curl_url() : NULL;
}
