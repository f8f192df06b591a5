/* SPDX-License-Identifier: MIT
 * test_serve.c: recordings among files, results that are kept, the folder that nobody leaves, and what is given away of a result. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "ecg/formats.h"
#include "report/ecg_page.h"
#include "report/http_client.h"
#include "report/serve_model.h"
#include "report/serve_parts.h"

#define H "Host: localhost\r\nConnection: close\r\n"
#define OWN "X-Ecgraft: 1\r\n"

/* ---- recordings among files ----------------------------------------------------------------------------------------------------- */

static ecg_member file(const char *name, const char *text)
{
    return (ecg_member){.name = name, .at = text, .len = strlen(text)};
}

#define ONE "1 1 500 10\n1.dat 16 200 16 0 0 0 0 II\n"
#define SEGMENTS "1/2 1 500 20\n1a 10\n1b 10\n"

static void recordings(void **state)
{
    static const struct { const char *names, *headers[6], *found, *why; } cases[] = {
        {"1.hea 1.dat", {ONE}, "1.hea", "a header and its signals"},
        {"1.dat 1.hea", {NULL, ONE}, "1.hea", "the other way round"},
        {"1.HEA 1.dat", {ONE}, "1.HEA", "large letters"},
        {"1.hea 1.dat 1.atr 1.xws", {ONE}, "1.hea", "companions"},
        {"1.dat", {NULL}, "1.dat", "signals alone: reading tells"},
        {"1.hea", {ONE}, "1.hea", "a header alone: reading tells"},
        {"notes.txt 1.hea 1.dat", {NULL, ONE}, "notes.txt 1.hea", "something else beside it"},
        {"1.hea 1.dat p/1.hea p/1.dat", {ONE, NULL, ONE}, "1.hea p/1.hea", "one name in two folders"},
        {"p/1.hea 1.dat", {ONE}, "p/1.hea 1.dat", "signals in another folder are not its own"},
        {"1.hea 1a.hea 1b.hea x.dat", {SEGMENTS, "1a 1 500 10\nx.dat 16\n", "1b 1 500 10\nx.dat 16\n"}, "1.hea", "segments are parts of a recording"},
        {"1.hea 1.dat", {"no header"}, "1.hea", "a header that is none"},
        {"a b", {NULL}, "a b", "names without extension"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char names[100], found[100] = "";
        ecg_member member[6];
        ecg_recordings out;
        int n = 0;
        snprintf(names, sizeof names, "%s", cases[i].names);
        for (char *at = strtok(names, " "); at; at = strtok(NULL, " "), n++)
            member[n] = file(at, cases[i].headers[n] ? cases[i].headers[n] : "");
        assert_int_equal(ecg_upload_recordings(&out, member, n, NULL), ECG_OK);
        for (int k = 0; k < out.n; k++)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", k ? " " : "", out.name[k]);
        if (strcmp(found, cases[i].found) != 0)
            fail_msg("%s: %s", cases[i].why, found);
    }
    ecg_member ring[2] = {file("a.hea", "a/2 1 500 20\nb 10\nb 10\n"), file("b.hea", "b/2 1 500 20\na 10\na 10\n")};
    ecg_recordings out;
    assert_int_equal(ecg_upload_recordings(&out, ring, 2, NULL), ECG_EDATA); /* each is a segment of the other */
}

static void names_of_parts(void **state)
{
    static const struct { const char *field, *file; bool fit; } cases[] = {
        {"file", "1.hea", true}, {"file", "p1/1.hea", true}, {"file", "\xc3\xa4.hea", true},
        {"file", "../1.hea", false}, {"file", "/etc/passwd", false}, {"file", "p1/../../1.hea", false}, {"file", "..", false}, {"file", "", false},
        {"file", "p1//1.hea", false}, {"file", "./1.hea", false}, {"file", "C:\\1.hea", false}, {"file", "1\n.hea", false}, {"other", "1.hea", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_part part = {0};
        ecg_member member[1];
        snprintf(part.name, sizeof part.name, "%s", cases[i].field);
        snprintf(part.file, sizeof part.file, "%s", cases[i].file);
        if ((ecg_upload_members(member, &(ecg_multipart){&part, 1}, NULL) == ECG_OK) != cases[i].fit)
            fail_msg("%s", cases[i].file);
    }
    ecg_part twice[2] = {{.name = "file", .file = "1.hea"}, {.name = "file", .file = "1.hea"}};
    ecg_member member[2];
    assert_int_equal(ecg_upload_members(member, &(ecg_multipart){twice, 2}, NULL), ECG_EDATA);
}

static void sizes(void **state)
{
    static const struct { const char *header; bool fit; } cases[] = {
        {ONE, true}, {"1 12 500 1800000\n", true}, {"1 12 500 1800001\n", false}, {"1 12 1e6 3000000000\n", false}, {"1 12 1 4000\n", false},
        {"1/2 1 500 0\n1a 900000\n1b 900001\n", false}, {"no header", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        ecg_member member[1];
        ecg_source src;
        int n = snprintf(text, sizeof text, "%s", cases[i].header);
        for (int k = 0; k < 12 && strncmp(text, "1 12", 4) == 0; k++)
            n += snprintf(text + n, sizeof text - (size_t)n, "1.dat 16\n");
        member[0] = file("1.hea", text);
        assert_int_equal(ecg_source_memory(&src, member, 1, NULL), ECG_OK);
        if ((ecg_served_size(&src, "1.hea", NULL) == ECG_OK) != cases[i].fit)
            fail_msg("%s", cases[i].header);
        ecg_source_close(&src);
    }
}

/* ---- results -------------------------------------------------------------------------------------------------------------------- */

static void add(char id[ECG_ID_LEN + 1], ecg_results *l, const char *name, int64_t samples)
{
    ecg_record rec;
    ecg_result *r;
    assert_int_equal(ecg_record_make(&rec, 1, samples, 500, NULL), ECG_OK);
    assert_int_equal(ecg_results_add(&r, l, name, &rec, NULL, "why not", NULL), ECG_OK);
    assert_null(rec.value);
    snprintf(id, ECG_ID_LEN + 1, "%s", r->id);
    ecg_result_done(l, r);
}

static void kept_results(void **state)
{
    ecg_results l;
    char id[6][ECG_ID_LEN + 1];
    ecg_result *all[8];
    (void)state;
    assert_int_equal(ecg_results_open(&l, 3, 1 << 20, NULL), ECG_OK);
    for (int i = 0; i < 4; i++)
        add(id[i], &l, "r", 100);
    assert_null(ecg_results_find(&l, id[0])); /* the oldest of four */
    ecg_result *held = ecg_results_find(&l, id[1]);
    assert_non_null(held);
    assert_string_equal(ecg_result_state(held), "refused");
    add(id[4], &l, "long", 100000); /* 400 kB */
    add(id[5], &l, "long", 200000); /* 800 kB: both are more than a megabyte */
    assert_null(ecg_results_find(&l, id[4]));
    assert_int_equal(ecg_results_all(all, &l, 8), 1);
    assert_string_equal(all[0]->id, id[5]);
    ecg_result_done(&l, all[0]);
    add(id[0], &l, "very long", 1000000); /* alone it may be more than all may have */
    assert_int_equal(ecg_results_all(all, &l, 8), 1);
    ecg_result_done(&l, all[0]);
    assert_string_equal(held->why_not, "why not"); /* gone from the list, still ours */
    ecg_result_done(&l, held);
    assert_false(ecg_results_drop(&l, id[1]));
    assert_true(ecg_results_drop(&l, id[0]));
    assert_int_equal(ecg_results_all(all, &l, 8), 0);
    assert_int_equal(l.bytes, 0);
    add(id[0], &l, "again", 100);
    assert_true(ecg_results_drop(&l, NULL));
    assert_int_equal(l.n, 0);
    ecg_results_close(&l);
}

/* ---- the folder ----------------------------------------------------------------------------------------------------------------- */

static char top[64];

static const char *in_top(const char *name)
{
    static char path[8][200];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(path[turn], sizeof path[turn], "%s/%s", top, name);
    return path[turn];
}

static void put_file(const char *name, const void *bytes, size_t len)
{
    assert_int_equal(ecg_file_write_whole(in_top(name), bytes, len, NULL), ECG_OK);
}

/* outside/secret.hea; in/1.hea, in/p/2.hea, in/p/big.dat, and links from in/ to where they may and may not lead */
static void make_tree(void)
{
    ecg_text header = {0}, data = {0};
    snprintf(top, sizeof top, "/tmp/ecgraft_serve_XXXXXX");
    assert_non_null(mkdtemp(top));
    assert_int_equal(ecg_make_folders(in_top("in/p"), NULL), ECG_OK);
    assert_int_equal(ecg_make_folders(in_top("in/.hidden"), NULL), ECG_OK);
    assert_int_equal(ecg_make_folders(in_top("outside"), NULL), ECG_OK);
    put_header(&header, "1", 12, 2000);
    put_samples(&data, 12, 2000);
    put_file("in/1.hea", header.at, header.len);
    put_file("in/1.dat", data.at, data.len);
    put_file("in/.hidden/h.hea", header.at, header.len);
    put_file("outside/secret.hea", header.at, header.len);
    header.len = 0;
    put_header(&header, "big", 12, 40000);
    put_file("in/p/big.hea", header.at, header.len);
    while (data.len < 2000000)
        put_samples(&data, 12, 2000);
    put_file("in/p/big.dat", data.at, data.len);
    assert_int_equal(symlink("../outside/secret.hea", in_top("in/link.hea")), 0);
    assert_int_equal(symlink("../outside", in_top("in/way_out")), 0);
    assert_int_equal(symlink("..", in_top("in/p/round")), 0);
    assert_int_equal(symlink("../1.hea", in_top("in/p/1.hea")), 0);
    assert_int_equal(symlink("../1.dat", in_top("in/p/1.dat")), 0);
    ecg_text_clear(&header);
    ecg_text_clear(&data);
}

static void remove_tree(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", top);
    assert_int_equal(system(command), 0);
}

static int open_status(int port, const char *name)
{
    char request[400];
    snprintf(request, sizeof request, "POST /api/open?record=%s HTTP/1.1\r\n" H OWN "Content-Length: 0\r\n\r\n", name);
    return status_of(port, request);
}

static void folder(void **state)
{
    static const struct { const char *name; int status; const char *why; } cases[] = {
        {"1.hea", 200, "a record"},
        {"p/1.hea", 200, "links that stay inside"},
        {"", 400, "no name"},
        {"2.hea", 404, "not there"},
        {"../outside/secret.hea", 400, "up"},
        {"p/../../outside/secret.hea", 400, "up on the way"},
        {"%2Fetc%2Fpasswd", 400, "an absolute name"},
        {"link.hea", 400, "a link that leaves"},
        {"way_out/secret.hea", 400, "a folder that leaves"},
        {"p", 404, "a folder"},
        {"1.hea%00.txt", 400, "a zero"},
        {"..%5Coutside", 400, "a backslash"},
        {"p/big.hea", 200, "signals that are too long: the recording says so"},
    };
    ecg_serve_options o = tiny_options();
    (void)state;
    make_tree();
    o.folder = in_top("in");
    ecg_serve *s = start(&o);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int status = open_status(ecg_serve_port(s), cases[i].name);
        if (status != cases[i].status)
            fail_msg("%s: %d", cases[i].why, status);
    }
    reply r = ask_bytes(ecg_serve_port(s), "GET /api/records HTTP/1.1\r\n" H "\r\n", strlen("GET /api/records HTTP/1.1\r\n" H "\r\n"));
    assert_string_equal(r.body, "{\"records\":[{\"name\":\"1.hea\"},{\"name\":\"link.hea\"},{\"name\":\"p/1.hea\"},{\"name\":\"p/big.hea\"}],\"truncated\":false}\n");
    assert_null(strstr(r.text, top));
    free(r.text);
    r = ask_bytes(ecg_serve_port(s), "GET /api/records?find=BIG HTTP/1.1\r\n" H "\r\n", strlen("GET /api/records?find=BIG HTTP/1.1\r\n" H "\r\n"));
    assert_string_equal(r.body, "{\"records\":[{\"name\":\"p/big.hea\"}],\"truncated\":false}\n");
    free(r.text);
    ecg_serve_stop(s, 5);
    o.folder = in_top("nowhere");
    ecg_err err = {0};
    assert_int_equal(ecg_serve_start(&s, &o, &err), ECG_EIO);
    o.folder = in_top("in/1.hea");
    assert_int_equal(ecg_serve_start(&s, &o, &err), ECG_EARG);
    remove_tree();
}

/* ---- what is given away --------------------------------------------------------------------------------------------------------- */

static reply post(int port, ecg_text *body)
{
    ecg_text request = upload_of(body);
    reply r = ask_bytes(port, request.at, request.len);
    ecg_text_clear(&request);
    return r;
}

static reply get(int port, const char *fmt, const char *id)
{
    char path[200], request[300];
    snprintf(path, sizeof path, fmt, id);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" H "\r\n", path);
    return ask_bytes(port, request, strlen(request));
}

/* The i-th result of an answer of /api/predict. */
static json_t *result_at(const reply *r, size_t i)
{
    json_t *j = json_loads(r->body, 0, NULL), *one = j ? json_incref(json_array_get(json_object_get(j, "results"), i)) : NULL;
    json_decref(j);
    assert_non_null(one);
    return one;
}

static void assert_state(const json_t *result, const char *state, const char *error)
{
    assert_string_equal(json_string_value(json_object_get(result, "state")), state);
    if (error)
        assert_non_null(strstr(json_string_value(json_object_get(result, "error")), error));
    else
        assert_true(json_is_null(json_object_get(result, "error")));
}

/* The bytes that the server gives are those that the functions behind `predict` make of the same recording. */
static void same_bytes(void **state)
{
    ecg_serve_options o = tiny_options();
    ecg_serve *s = start(&o);
    const int port = ecg_serve_port(s);
    ecg_text body = {0}, header = {0}, data = {0}, line = {0}, page = {0};
    ecg_record rec;
    ecg_answer a;
    ecg_source src;
    (void)state;
    put_recording(&body, "1", 12, 5000);
    reply r = post(port, &body);
    assert_int_equal(r.status, 200);
    json_t *one = result_at(&r, 0);
    assert_state(one, "answered", NULL);
    const char *id = json_string_value(json_object_get(one, "id"));
    assert_string_equal(json_string_value(json_object_get(one, "name")), "1.hea");
    free(r.text);

    put_header(&header, "1", 12, 5000);
    put_samples(&data, 12, 5000);
    const ecg_member member[2] = {{"1.hea", header.at, header.len}, {"1.dat", data.at, data.len}};
    assert_int_equal(ecg_source_memory(&src, member, 2, NULL), ECG_OK);
    assert_int_equal(ecg_record_read_from(&rec, &src, "1.hea", NULL), ECG_OK);
    const ecg_predict_options how = {.alpha = 0.1, .explain = 5};
    assert_int_equal(ecg_predict(&a, &served_model, &rec, &how, NULL), ECG_OK);
    json_t *j = ecg_prediction_json("1.hea", &a, &served_model, &served_name, 5);
    ecg_json_line(&line, j);
    ecg_page_options wide = ecg_page_usual;
    wide.layout = ECG_LAYOUT_6X2;
    wide.speed_mm_per_s = 50;
    wide.gain_mm_per_mv = 20;
    assert_int_equal(ecg_page(&page, j, &rec, &wide, NULL), ECG_OK);
    r = get(port, "/api/results/%s.json", id);
    assert_string_equal(r.body, line.at);
    free(r.text);
    r = get(port, "/api/results/%s.html?layout=6x2&speed=50&gain=20", id);
    assert_string_equal(r.body, page.at);
    assert_null(strstr(r.text, "Content-Disposition"));
    free(r.text);
    r = get(port, "/api/results/%s.html?download=1", id);
    assert_non_null(strstr(r.text, "Content-Disposition: attachment; filename=\"1.html\""));
    free(r.text);
    r = get(port, "/api/results/%s.json?top=1", id);
    json_t *first = json_loads(r.body, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(first, "diagnoses")), 1);
    json_decref(first);
    free(r.text);
    r = get(port, "/api/results/%s.svg?layout=cabrera", id);
    assert_int_equal(strncmp(r.body, "<svg", 4), 0);
    assert_non_null(strstr(r.body, "data-speed=\"25\""));
    free(r.text);
    r = get(port, "/api/results/%s.csv", id);
    int lines = 0;
    for (const char *c = r.body; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 1 + 2 * TINY_LABELS);
    free(r.text);
    static const char *const wrong[] = {"/api/results/%s.html?layout=4x3", "/api/results/%s.svg?speed=30", "/api/results/%s.html?gain=3", "/api/results/%s.json?top=-1", "/api/results/%s.json?top=x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        r = get(port, wrong[i], id);
        assert_int_equal(r.status, 400);
        free(r.text);
    }
    ecg_text_clear(&header);
    ecg_text_clear(&data);
    ecg_text_clear(&line);
    ecg_text_clear(&page);
    ecg_answer_clear(&a);
    ecg_record_clear(&rec);
    ecg_source_close(&src);
    json_decref(j);
    json_decref(one);
    ecg_serve_stop(s, 5);
}

/* Several recordings at once: one that is answered, one that the model refuses, two that cannot be read, one that is too long. */
static void several(void **state)
{
    ecg_serve_options o = tiny_options();
    ecg_serve *s = start(&o);
    const int port = ecg_serve_port(s);
    ecg_text body = {0}, header = {0};
    (void)state;
    put_recording(&body, "good", 12, 5000);
    put_recording(&body, "two", 2, 2000);
    put_part(&body, "broken.hea", "what is this", 12);
    put_part(&body, "=cmd.txt", "hello", 5);
    put_header(&header, "long", 12, 1800001);
    put_part(&body, "long.hea", header.at, header.len);
    reply r = post(port, &body);
    assert_int_equal(r.status, 200);
    json_t *good = result_at(&r, 0), *two = result_at(&r, 1), *broken = result_at(&r, 2), *text = result_at(&r, 3), *far = result_at(&r, 4);
    assert_state(good, "answered", NULL);
    assert_state(two, "refused", "V1");
    assert_state(broken, "unreadable", "broken.hea");
    assert_true(json_is_null(json_object_get(broken, "id")));
    assert_state(text, "unreadable", "not a recording");
    assert_state(far, "unreadable", "at most 3600 are answered here");
    free(r.text);

    const char *id = json_string_value(json_object_get(two, "id"));
    r = get(port, "/api/results/%s.html", id);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "No claims are made for this recording"));
    assert_null(strstr(r.body, "I48"));
    free(r.text);
    r = get(port, "/api/results/%s.json", id);
    assert_non_null(strstr(r.body, "\"state\":\"refused\""));
    free(r.text);
    r = get(port, "/api/results/%s.csv", id);
    assert_string_equal(strchr(r.body, '\n'), "\n");
    free(r.text);
    r = get(port, "/api/results%s", "");
    json_t *first = result_at(&r, 0); /* the newest */
    assert_string_equal(json_string_value(json_object_get(first, "name")), "two.hea");
    assert_true(json_is_null(json_object_get(first, "top")));
    assert_true(json_is_null(json_object_get(first, "lab")));
    json_decref(first);
    first = result_at(&r, 1);
    assert_true(json_is_object(json_object_get(first, "top")));
    json_decref(first);
    free(r.text);
    r = get(port, "/api/results.csv%s", "");
    assert_non_null(strstr(r.body, "two.hea,,refused,,,,,,,,,,"));
    free(r.text);

    char request[200];
    snprintf(request, sizeof request, "DELETE /api/results/%s HTTP/1.1\r\n" H OWN "\r\n", id);
    assert_int_equal(status_of(port, request), 204);
    assert_int_equal(status_of(port, request), 404);
    json_decref(good);
    json_decref(two);
    json_decref(broken);
    json_decref(text);
    json_decref(far);
    ecg_text_clear(&header);
    ecg_serve_stop(s, 5);
}

static void names_in_tables(void **state)
{
    ecg_serve_options o = tiny_options();
    ecg_serve *s = start(&o);
    ecg_text body = {0}, header = {0}, data = {0};
    (void)state;
    put_header(&header, "1", 12, 5000);
    put_samples(&data, 12, 5000);
    put_part(&body, "=1+1, x.hea", header.at, header.len);
    put_part(&body, "1.dat", data.at, data.len);
    reply r = post(ecg_serve_port(s), &body);
    json_t *one = result_at(&r, 0);
    assert_state(one, "answered", NULL);
    free(r.text);
    r = get(ecg_serve_port(s), "/api/results.csv%s", "");
    assert_non_null(strstr(r.body, "\n\"'=1+1, x.hea\","));
    free(r.text);
    r = get(ecg_serve_port(s), "/api/results/%s.csv?", json_string_value(json_object_get(one, "id")));
    assert_non_null(strstr(r.text, "filename=\"=1+1, x.csv\""));
    free(r.text);
    json_decref(one);
    ecg_text_clear(&header);
    ecg_text_clear(&data);
    ecg_serve_stop(s, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recordings), cmocka_unit_test(names_of_parts), cmocka_unit_test(sizes), cmocka_unit_test(kept_results), cmocka_unit_test(folder),
        cmocka_unit_test(same_bytes), cmocka_unit_test(several), cmocka_unit_test(names_in_tables),
    };
    return cmocka_run_group_tests(tests, make_served_model, drop_served_model);
}
