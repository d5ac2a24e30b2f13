/* The opening of a WebSocket, and connections that run out of memory or of time. What is said over one is tested in
 * tests/spec/websocket_spec.lua. */
#include "server.h"
#include <string.h>
#include "sys/handshake.h"

/* The example of RFC 6455, section 1.3. */
static void the_key_is_answered_as_in_the_standard(void **state) {
    (void)state;
    char accept[FG__HANDSHAKE_ACCEPT];
    fg__handshake_accept(accept, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void keys_differ(void **state) {
    (void)state;
    char one[FG__HANDSHAKE_KEY], other[FG__HANDSHAKE_KEY];
    assert_true(fg__handshake_key(one) && fg__handshake_key(other));
    assert_int_equal(strlen(one), 24);
    assert_string_not_equal(one, other);
}

static void the_request_is_of_the_url(void **state) {
    (void)state;
    static const struct {
        const char *url, *line, *host;
    } rows[] = {{"ws://127.0.0.1:9229/abc?x=1", "GET /abc?x=1 HTTP/1.1\r\n", "\r\nHost: 127.0.0.1:9229\r\n"},
                {"WSS://user:secret@host", "GET / HTTP/1.1\r\n", "\r\nHost: host\r\n"},
                {"ws://[::1]:80/", "GET / HTTP/1.1\r\n", "\r\nHost: [::1]:80\r\n"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fg__buffer out = {0};
        const fg__http_header header = {"x-key", "v"};
        char *url = fg__handshake_url(ctx, rows[i].url);
        assert_non_null(url);
        assert_int_equal(fg__handshake_request(&out, ctx, url, "KEY", &header, 1), 0);
        assert_contains(out.bytes, rows[i].line);
        assert_contains(out.bytes, rows[i].host);
        assert_contains(out.bytes, "\r\nSec-WebSocket-Key: KEY\r\nx-key: v\r\n\r\n");
        assert_null(strstr(out.bytes, "secret"));
        fg_free(ctx, out.bytes);
        fg_free(ctx, url);
    }
    assert_null(fg__handshake_url(ctx, "http://host"));
}

static int check(const char *head) {
    return fg__handshake_check(ctx, head, strlen(head), "dGhlIHNhbXBsZSBub25jZQ==");
}

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static void answers_are_judged(void **state) {
    (void)state;
    assert_int_equal(
        check("HTTP/1.1 101 OK\r\nupgrade:  WebSocket \r\nsec-websocket-accept: " ACCEPT "\r\n\r\n"), 0);
    assert_int_equal(check("HTTP/1.1 200 OK\r\n\r\n"), FG_EREMOTE);
    assert_int_equal(check("220 smtp\r\n\r\n"), FG_EFORMAT);
    assert_int_equal(check("HTTP/1.1 101 OK\r\nupgrade: websocket\r\n\r\n"), FG_EFORMAT);
    assert_int_equal(check("HTTP/1.1 101 OK\r\nsec-websocket-accept: " ACCEPT "\r\n\r\n"), FG_EFORMAT);
    assert_int_equal(
        check("HTTP/1.1 101 OK\r\nupgrade: websocket\r\nsec-websocket-accept: " ACCEPT "x\r\n\r\n"),
        FG_EFORMAT);
    assert_int_equal(fg__handshake_length("a\r\n\r\nb", 6), 5);
    assert_int_equal(fg__handshake_length("a\r\n\r", 4), 0);
    assert_int_equal(fg__handshake_length(NULL, 0), 0);
}

/* ---- connections --------------------------------------------------------------------------------------- */

static char url[64];

static int open_server(void **state) {
    if (open_loop(state)) return -1;
    char ports[512];
    if (start_server(ports, sizeof ports)) return -1;
    snprintf(url, sizeof url, "ws://127.0.0.1:%d", port_of(ports, "a"));
    return 0;
}

static int start(fg__op **out, fg__loop *on, const char *path) {
    char whole[128];
    snprintf(whole, sizeof whole, "%s%s", url, path);
    return fg__websocket_start(out, on, &(fg__websocket_options){.url = whole});
}

static int start_goodbye(fg__op **out, fg__loop *on) {
    return start(out, on, "/goodbye");
}

/* Every allocation of a whole connection fails in turn. That of libwslay and libcurl are their own. */
static void memory_can_end_anywhere(void **state) {
    (void)state;
    int code = FG_ENOMEM;
    for (long n = 1; code == FG_ENOMEM; n++) {
        long left = n;
        fg_ctx *poor = fg_ctx_new_with(failing_alloc, &left);
        fg__loop *on = NULL;
        fg__op *op = NULL;
        code = fg__loop_new(&on, poor);
        if (!code) code = start_goodbye(&op, on);
        while (op && !fg__op_finished(op)) fg__loop_step(on, 10);
        if (op) code = fg__op_code(op);
        if (code != FG_ENOMEM && code != FG_ENET) fail_msg("%s: %s", fg_error_name(code), fg__op_message(op));
        if (code == FG_ENET) {
            fg__websocket_message m;
            assert_contains(fg__op_message(op), "closed the connection (status 4001)");
            assert_true(fg__websocket_take(op, &m) && m.n == 3 && !memcmp(m.bytes, "bye", 3));
            assert_true(n > 4);
        }
        fg__op_release(op);
        fg__loop_free(on);
        fg_ctx_free(poor);
    }
}

/* An arrival outlives the connection, and the loop outlives neither. */
static void what_is_released_tells_nobody(void **state) {
    (void)state;
    fg__op *ws, *waits, *late;
    assert_int_equal(start(&ws, loop, "/echo"), 0);
    assert_int_equal(fg__websocket_arrival(&waits, ws), 0);
    assert_int_equal(wait_for(waits), 0);
    assert_true(fg__websocket_opened(ws));
    fg__op_release(waits);
    assert_int_equal(fg__websocket_arrival(&waits, ws), 0);
    assert_int_equal(fg__websocket_arrival(&late, ws), 0);
    fg__op_release(late);
    fg__op_release(ws);
    assert_true(fg__op_finished(waits));
    fg__op_release(waits);
}

static void a_loop_can_go_first(void **state) {
    (void)state;
    fg__loop *own;
    fg__op *ws, *waits;
    assert_int_equal(fg__loop_new(&own, ctx), 0);
    assert_int_equal(start(&ws, own, "/echo"), 0);
    assert_int_equal(fg__websocket_arrival(&waits, ws), 0);
    while (!fg__op_finished(waits)) fg__loop_step(own, 10);
    fg__loop_free(own);
    assert_true(fg__op_finished(ws));
    assert_int_not_equal(fg__websocket_send(ws, "x", 1, false), 0);
    fg__op_release(waits);
    fg__op_release(ws);
}

int main(void) {
    const struct CMUnitTest opening[] = {
        cmocka_unit_test(the_key_is_answered_as_in_the_standard),
        cmocka_unit_test(keys_differ),
        cmocka_unit_test_setup_teardown(the_request_is_of_the_url, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(answers_are_judged, open_loop, close_loop),
    };
    const struct CMUnitTest connections[] = {
        cmocka_unit_test(memory_can_end_anywhere),
        cmocka_unit_test(what_is_released_tells_nobody),
        cmocka_unit_test(a_loop_can_go_first),
    };
    return cmocka_run_group_tests(opening, NULL, NULL) +
           cmocka_run_group_tests(connections, open_server, close_server);
}
