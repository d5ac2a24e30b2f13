/* HTTP against a loopback server: answers, redirects, caps, time-outs, and what is said when it goes wrong.
 */
#include "server.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    int a, b, tls, raw;
    char socket[128];
} at;

static int open_server(void **state) {
    if (open_loop(state)) return -1;
    char ports[512];
    if (start_server(ports, sizeof ports)) return -1;
    at.a = port_of(ports, "a");
    at.b = port_of(ports, "b");
    at.tls = port_of(ports, "tls");
    at.raw = port_of(ports, "raw");
    snprintf(at.socket, sizeof at.socket, "%s", strstr(ports, "\"socket\":\"") + 10);
    *strchr(at.socket, '"') = 0;
    return 0;
}

/* "http://127.0.0.1:PORT" and the rest; valid until the fourth call from now. */
static const char *url_on(int port, const char *rest) {
    static char urls[4][512];
    static int next;
    char *url = urls[next++ % 4];
    int n = snprintf(url, sizeof urls[0], "http%s://%s:%d%s", port == at.tls ? "s" : "",
                     port == at.tls ? "localhost" : "127.0.0.1", port, rest);
    assert_in_range(n, 1, sizeof urls[0] - 1);
    return url;
}

static const char *redirect(int status, const char *to) {
    static char rest[512];
    int n = snprintf(rest, sizeof rest, "/redirect/%d?to=%s", status, to);
    assert_in_range(n, 1, sizeof rest - 1);
    return url_on(at.a, rest);
}

static fg__op *start(fg__http_options options) {
    fg__op *op = NULL;
    if (!options.max_redirects) options.max_redirects = 5;
    if (fg__http_start(&op, loop, &options)) fail_msg("%s", fg_error(ctx));
    return op;
}

static fg__op *ask(fg__http_options options) {
    fg__op *op = start(options);
    if (wait_for(op)) fail_msg("%s", fg__op_message(op));
    return op;
}

static void expect_body(fg__op *op, int status, const char *body) {
    fg__http_response response = fg__http_response_of(op);
    assert_int_equal(response.status, status);
    assert_int_equal(response.body_size, strlen(body));
    assert_memory_equal(response.body, body, response.body_size);
    fg__op_release(op);
}

static void expect_failure(fg__http_options options, int code, const char *message) {
    fg__op *op = start(options);
    int got = wait_for(op);
    if (got != code)
        fail_msg("%s instead of %s: %s", fg_error_name(got), fg_error_name(code), fg__op_message(op));
    assert_contains(fg__op_message(op), message);
    fg__op_release(op);
}

static const char *header_of(fg__http_response response, const char *name) {
    for (size_t i = 0; i < response.headers_size;) {
        const char *found = response.headers + i, *value = found + strlen(found) + 1;
        if (!strcmp(found, name)) return value;
        i = (size_t)(value - response.headers) + strlen(value) + 1;
    }
    return "";
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static void answers_are_returned(void **state) {
    (void)state;
    expect_body(ask((fg__http_options){.url = url_on(at.a, "/status/200")}), 200, "said 200");
    expect_body(ask((fg__http_options){.url = url_on(at.a, "/status/500")}), 500, "said 500");
    expect_body(ask((fg__http_options){.url = url_on(at.a, "/status/204")}), 204, "");
    expect_body(ask((fg__http_options){.url = url_on(at.a, "/status/200"), .method = "HEAD"}), 200, "");
    expect_body(ask((fg__http_options){.url = url_on(at.a, "/chunked/3")}), 200,
                "piece 0\npiece 1\npiece 2\n");
    expect_body(ask((fg__http_options){.url = "http://any/status/200", .socket = at.socket}), 200,
                "said 200");
}

static void encoded_bodies_are_decoded(void **state) {
    (void)state;
    static const char *const paths[] = {"/encoded/gzip/100000", "/encoded/deflate/100000"};
    for (int i = 0; i < 2; i++) {
        fg__op *op = ask((fg__http_options){.url = url_on(at.a, paths[i])});
        fg__http_response response = fg__http_response_of(op);
        assert_int_equal(response.body_size, 100000);
        for (size_t b = 0; b < response.body_size; b++) assert_int_equal(response.body[b], 0);
        fg__op_release(op);
    }
}

static void requests_say_what_they_are_told(void **state) {
    (void)state;
    const fg__http_header headers[] = {
        {"X-Api-Key", "secret"}, {"content-type", "application/json"}, {"x-empty", ""}};
    fg__op *op = ask((fg__http_options){.url = url_on(at.a, "/echo?a=b"),
                                        .headers = headers,
                                        .header_count = 3,
                                        .body = "{}",
                                        .body_size = 2});
    fg__http_response response = fg__http_response_of(op);
    assert_string_equal(header_of(response, "content-type"), "application/json");
    assert_contains(response.body, "\"method\":\"POST\",\"url\":\"/echo?a=b\"");
    assert_contains(response.body, "\"x-api-key\":\"secret\"");
    assert_contains(response.body, "\"x-empty\":\"\"");
    assert_contains(response.body, "\"content-type\":\"application/json\"");
    assert_contains(response.body, "\"user-agent\":\"flame-graph/" FG_VERSION "\"");
    assert_contains(response.body, "\"body\":\"{}\"");
    assert_null(strstr(response.body, "expect"));
    fg__op_release(op);
    op = ask(
        (fg__http_options){.url = url_on(at.a, "/echo"), .method = "DELETE", .body = "x", .body_size = 1});
    assert_contains(fg__http_response_of(op).body, "\"method\":\"DELETE\"");
    assert_null(strstr(fg__http_response_of(op).body, "content-type"));
    fg__op_release(op);
}

/* ---- redirects ----------------------------------------------------------------------------------------- */

static const fg__http_header secrets[] = {
    {"authorization", "Bearer t0ken"},
    {"x-api-key", "k3y"},
    {"cookie", "c00kie"},
    {"x-mine", "m1ne"},
    {"accept", "text/x"},
};

static fg__op *ask_with_secrets(const char *url) {
    return ask((fg__http_options){.url = url, .headers = secrets, .header_count = 5});
}

static void secrets_stay_with_their_origin(void **state) {
    (void)state;
    static const char *const all[] = {"t0ken", "k3y", "c00kie", "m1ne"};
    fg__op *same = ask_with_secrets(redirect(302, url_on(at.a, "/echo")));
    fg__op *relative = ask_with_secrets(redirect(302, "/echo"));
    fg__op *other = ask_with_secrets(redirect(302, url_on(at.b, "/echo")));
    char back[512];
    snprintf(back, sizeof back, "%s/redirect/302?to=%s", url_on(at.b, ""), url_on(at.a, "/echo"));
    fg__op *there_and_back = ask_with_secrets(redirect(302, back));
    for (int i = 0; i < 4; i++) {
        assert_contains(fg__http_response_of(same).body, all[i]);
        assert_contains(fg__http_response_of(relative).body, all[i]);
        assert_null(strstr(fg__http_response_of(other).body, all[i]));
        assert_null(strstr(fg__http_response_of(there_and_back).body, all[i]));
    }
    assert_contains(fg__http_response_of(other).body, "text/x");
    assert_string_equal(fg__http_response_of(other).url, url_on(at.b, "/echo"));
    assert_false(fg__http_response_of(same).withheld);
    assert_true(fg__http_response_of(other).withheld);
    fg__op_release(same);
    fg__op_release(relative);
    fg__op_release(other);
    fg__op_release(there_and_back);
}

static void user_and_password_stay_with_their_origin(void **state) {
    (void)state;
    char url[512];
    snprintf(url, sizeof url, "http://user:passw0rd@127.0.0.1:%d/redirect/302?to=%s", at.a,
             url_on(at.b, "/echo"));
    fg__op *op = ask((fg__http_options){.url = url});
    assert_null(strstr(fg__http_response_of(op).body, "authorization"));
    fg__op_release(op);
    snprintf(url, sizeof url, "http://user:passw0rd@127.0.0.1:%d/echo", at.a);
    op = ask((fg__http_options){.url = url});
    assert_contains(fg__http_response_of(op).body, "\"authorization\":\"Basic dXNlcjpwYXNzdzByZA==\"");
    fg__op_release(op);
}

static void redirects_keep_or_change_the_method(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *asked, *sent;
    } cases[] = {{301, "POST", "GET"},  {302, "POST", "GET"}, {303, "PUT", "GET"},
                 {307, "POST", "POST"}, {308, "PUT", "PUT"},  {302, "PUT", "PUT"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fg__op *op = ask((fg__http_options){.url = redirect(cases[i].status, "/echo"),
                                            .method = cases[i].asked,
                                            .body = "data",
                                            .body_size = 4});
        char method[32];
        snprintf(method, sizeof method, "\"method\":\"%s\"", cases[i].sent);
        assert_contains(fg__http_response_of(op).body, method);
        assert_int_equal(strstr(fg__http_response_of(op).body, "\"body\":\"data\"") != NULL,
                         strcmp(cases[i].sent, "GET") != 0);
        fg__op_release(op);
    }
    expect_body(ask((fg__http_options){.url = redirect(303, "/status/200"), .method = "HEAD"}), 200, "");
}

static void bad_redirects_are_refused(void **state) {
    (void)state;
    expect_failure(
        (fg__http_options){.url = redirect(307, url_on(at.b, "/echo")), .body = "data", .body_size = 4},
        FG_EREMOTE, "where the body of the request is not sent");
    expect_failure((fg__http_options){.url = redirect(302, "file:///etc/passwd")}, FG_EREMOTE,
                   "redirects to file:///etc/passwd, which is neither http nor https");
    expect_failure((fg__http_options){.url = url_on(at.a, "/circle")}, FG_EREMOTE,
                   "one redirect too many; is it a circle?");
    fg__op *op;
    fg__http_options options = {.url = redirect(302, "/echo")}; /* no redirects: it is the answer */
    assert_int_equal(fg__http_start(&op, loop, &options), 0);
    assert_int_equal(wait_for(op), 0);
    expect_body(op, 302, "moved");
}

/* ---- limits -------------------------------------------------------------------------------------------- */

static void bodies_have_a_cap(void **state) {
    (void)state;
    fg__op *op = ask((fg__http_options){.url = url_on(at.a, "/bytes/1000"), .max_body = 1000});
    assert_int_equal(fg__http_response_of(op).body_size, 1000);
    fg__op_release(op);
    expect_failure((fg__http_options){.url = url_on(at.a, "/bytes/1001"), .max_body = 1000}, FG_ELIMIT,
                   "is larger than 1000 bytes (`max_body`)");
    expect_failure((fg__http_options){.url = url_on(at.a, "/chunked/1000"), .max_body = 1000}, FG_ELIMIT,
                   "1000 bytes");
    /* 50 MB of zeros are 50 kB on the wire */
    expect_failure((fg__http_options){.url = url_on(at.a, "/encoded/gzip/50000000"), .max_body = 1 << 20},
                   FG_ELIMIT, "is larger than 1048576 bytes");
    expect_failure((fg__http_options){.url = url_on(at.a, "/headers/300")}, FG_ELIMIT,
                   "larger than 262144 bytes (headers)");
}

static void time_is_limited(void **state) {
    (void)state;
    double begin = fg__loop_now();
    expect_failure((fg__http_options){.url = url_on(at.a, "/never?secret"), .timeout = 0.2}, FG_ETIMEOUT,
                   "/never?… within 0.2 s — is it busy? `timeout` allows more");
    expect_failure((fg__http_options){.url = url_on(at.a, "/half"), .timeout = 0.2}, FG_ETIMEOUT,
                   "no answer from");
    /* redirects do not start the clock again */
    expect_failure((fg__http_options){.url = redirect(302, "/never"), .timeout = 0.2}, FG_ETIMEOUT,
                   "within 0.2 s");
    assert_true(fg__loop_now() - begin < 5);
}

static void connecting_is_limited(void **state) {
    (void)state;
    /* a listener that accepts nobody: once its queue is full, connections are neither made nor refused */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), waiting[4];
    assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(listener, 0), 0);
    getsockname(listener, (struct sockaddr *)&address, &n);
    for (int i = 0; i < 4; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(waiting[i], (struct sockaddr *)&address, n);
    }
    expect_failure((fg__http_options){.url = url_on(ntohs(address.sin_port), "/"), .connect_timeout = 0.2},
                   FG_ETIMEOUT, "within 0.2 s — is the host up and reachable? `connect_timeout` allows more");
    for (int i = 0; i < 4; i++) close(waiting[i]);
    close(listener);
}

static void progress_is_known(void **state) {
    (void)state;
    fg__op *op = start((fg__http_options){.url = url_on(at.a, "/half")});
    double done = 0, expected = 0, begin = fg__loop_now();
    while (done < 50 && fg__loop_now() - begin < 10) {
        fg__loop_step(loop, 0.1);
        fg__op_progress(op, &done, &expected);
    }
    assert_true(done == 50 && expected == 100);
    fg__op_release(op);
}

/* ---- failures ------------------------------------------------------------------------------------------ */

static void failures_say_what_and_why(void **state) {
    (void)state;
    fg__op *op = start((fg__http_options){.url = "http://user:passw0rd@127.0.0.1:9/x?token=t0ken"});
    assert_int_equal(wait_for(op), FG_ENET);
    assert_string_equal(fg__op_message(op), "cannot connect to http://127.0.0.1:9/x?…: Connection refused — "
                                            "is the service running, and is the URL right?");
    assert_true(fg__http_refused(op));
    fg__op_release(op);
    const struct {
        const char *url;
        int code;
        const char *message;
    } cases[] = {
        {"http://no-such-host.invalid/", FG_ENET,
         "cannot find the host of http://no-such-host.invalid/: no such name — is its"},
        {url_on(at.a, "/broken"), FG_ENET, "the connection broke: http://127.0.0.1"},
        {url_on(at.a, "/reset"), FG_ENET, "the connection broke: "},
        {url_on(at.a, "/damaged"), FG_EFORMAT, "a damaged body from http://127.0.0.1"},
        {url_on(at.raw, "/"), FG_EFORMAT, "no HTTP answer from http://127.0.0.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_failure((fg__http_options){.url = cases[i].url}, cases[i].code, cases[i].message);
    }
}

static void certificates_are_checked(void **state) {
    (void)state;
    const char *ca = FG_TEST_SERVERS "/localhost-cert.pem";
    expect_failure((fg__http_options){.url = url_on(at.tls, "/status/200")}, FG_ENET,
                   "cannot trust https://localhost");
    expect_body(ask((fg__http_options){.url = url_on(at.tls, "/status/200"), .ca_file = ca}), 200,
                "said 200");
    char plain[128];
    snprintf(plain, sizeof plain, "https://127.0.0.1:%d/", at.a);
    expect_failure((fg__http_options){.url = plain}, FG_ENET, "does this port speak TLS?");
    expect_failure((fg__http_options){.url = url_on(at.tls, "/"), .ca_file = "/nowhere"}, FG_EIO,
                   "cannot read the certificates");
}

static void bad_requests_are_not_sent(void **state) {
    (void)state;
    const fg__http_header newline = {"x-api-key", "k3y\n"}, name = {"x y", "z"};
    const struct {
        fg__http_options options;
        const char *message;
    } cases[] = {
        {{.url = "localhost:8080"}, "localhost:8080 is not a URL that starts with http:// or https://"},
        {{.url = "ftp://localhost/"}, "is not a URL that starts with http://"},
        {{.url = "http://a b/"}, "is not a URL"},
        {{.url = "http://localhost/", .method = "GET /x"}, "the method is not one of HTTP"},
        {{.url = "http://localhost/", .headers = &newline, .header_count = 1},
         "the header x-api-key has a control character"},
        {{.url = "http://localhost/", .headers = &name, .header_count = 1},
         "'x y' cannot be the name of a header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fg__op *op;
        assert_int_equal(fg__http_start(&op, loop, &cases[i].options), FG_EINVAL);
        assert_contains(fg_error(ctx), cases[i].message);
        assert_null(strstr(fg_error(ctx), "k3y"));
    }
}

static void a_proxy_is_not_asked_for_loopback(void **state) {
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    unsetenv("no_proxy");
    expect_body(ask((fg__http_options){.url = url_on(at.a, "/status/200")}), 200, "said 200");
    expect_failure((fg__http_options){.url = "http://no-such-host.invalid/"}, FG_ENET, "cannot connect to");
    unsetenv("http_proxy");
}

static void urls_are_shown_without_secrets(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"http://host:1/path", "http://host:1/path"},
        {"http://user:pass@host/p?key=v#f", "http://host/p?…"},
        {"http://user:p@ss@host/#frag", "http://host/"},
        {"host/path?q", "host/path?…"},
        {"http://host?q", "http://host?…"},
        {"", ""},
    };
    char shown[FG__URL_SHOWN], url[1024] = "http://host/";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(fg__url_shown(shown, cases[i][0]), cases[i][1]);
    }
    memset(url + 12, 'x', sizeof url - 13);
    assert_true(strlen(fg__url_shown(shown, url)) < FG__URL_SHOWN);
}

/* ---- many, and none ------------------------------------------------------------------------------------ */

static void many_run_side_by_side(void **state) {
    (void)state;
    enum { COUNT = 50 };
    fg__op *ops[COUNT];
    for (int i = 0; i < COUNT; i++) ops[i] = start((fg__http_options){.url = url_on(at.a, "/after/1500")});
    for (int i = 0; i < COUNT; i++) assert_int_equal(wait_for(ops[i]), 0);
    for (int i = 0; i < COUNT; i++) expect_body(ops[i], 200, "at last");
    expect_body(ask((fg__http_options){.url = url_on(at.a, "/most")}), 200, "50");
}

static void requests_can_be_cancelled(void **state) {
    (void)state;
    static const char *const paths[] = {"/never", "/half", "/after/100"};
    for (int steps = 0; steps < 5; steps++) {
        for (int i = 0; i < 3; i++) {
            fg__op *op = start((fg__http_options){.url = url_on(at.a, paths[i])});
            for (int s = 0; s < steps; s++) fg__loop_step(loop, 0.01);
            fg__op_release(op);
        }
    }
    fg__op_release(start((fg__http_options){.url = "http://no-such-host.invalid/"}));
    assert_int_equal(fg__loop_under_way(loop), 1); /* the server */
    fg__op *kept = start((fg__http_options){.url = url_on(at.a, "/half")});
    fg__loop_step(loop, 0.05);
    fg__op_release(server);
    server = NULL;
    fg__loop_free(loop);
    loop = NULL;
    assert_int_equal(fg__op_code(kept), FG_EINTERRUPTED);
    fg__op_release(kept);
}

static int begin_http(fg__op **out, fg__loop *on) {
    static const fg__http_header header = {"x-header", "value"};
    fg__http_options options = {
        .url = redirect(302, "/bytes/200000"), .headers = &header, .header_count = 1, .max_redirects = 1};
    return fg__http_start(out, on, &options);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    fail_each_allocation(begin_http);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_server, close_server)
    const struct CMUnitTest tests[] = {
        TEST(answers_are_returned),
        TEST(encoded_bodies_are_decoded),
        TEST(requests_say_what_they_are_told),
        TEST(secrets_stay_with_their_origin),
        TEST(user_and_password_stay_with_their_origin),
        TEST(redirects_keep_or_change_the_method),
        TEST(bad_redirects_are_refused),
        TEST(bodies_have_a_cap),
        TEST(time_is_limited),
        TEST(connecting_is_limited),
        TEST(progress_is_known),
        TEST(failures_say_what_and_why),
        TEST(certificates_are_checked),
        TEST(bad_requests_are_not_sent),
        TEST(a_proxy_is_not_asked_for_loopback),
        TEST(urls_are_shown_without_secrets),
        TEST(many_run_side_by_side),
        TEST(requests_can_be_cancelled),
        TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
