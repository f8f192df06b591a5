/* SPDX-License-Identifier: MIT
 * cmd_serve.c: a model behind a local web page. Everything that answers is in report/serve. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "opt.h"
#include "report/serve.h"

static struct {
    const char *address, *token, *token_file, *host_name, *folder, *neighbours, *prevalence;
    int64_t port, max_upload, max_connections, results, top;
    double timeout, alpha;
    bool open, allow_missing_leads, occlusion;
} o = {.port = 8017, .max_upload = 32, .max_connections = 128, .results = 64, .top = 5, .timeout = 20, .alpha = 0.1};

static const option options[] = {
    PRECISION_OPTION,
    {"port", 0, OPT_INT, &o.port, "N", "where to listen (8017); 0: any that is free"},
    {"folder", 0, OPT_TEXT, &o.folder, "DIR", "recordings below it may be picked from the page"},
    {"top", 0, OPT_INT, &o.top, "N", "labels in a prediction and on its page, the most probable first (5); 0: all"},
    {"alpha", 0, OPT_NUMBER, &o.alpha, "A", "errors that a verdict may make (0.1)"},
    {"allow-missing-leads", 0, OPT_FLAG, &o.allow_missing_leads, NULL, "absent leads enter as zeros instead of a refusal"},
    {"occlusion", 0, OPT_FLAG, &o.occlusion, NULL, "what each lead, and P, QRS and ST-T, do for the diagnoses: 15 more passes through the network"},
    {"neighbours", 0, OPT_TEXT, &o.neighbours, "FILE", "what was known of the most similar recordings; FILE from `recalibrate --neighbours-out`"},
    {"prevalence", 0, OPT_TEXT, &o.prevalence, "FILE", "shift probabilities to the prevalence of another place: a table with the columns code, prevalence"},
    {"results", 0, OPT_INT, &o.results, "N", "results kept in memory, the newest (64)"},
    {"max-upload", 0, OPT_INT, &o.max_upload, "MB", "of one upload (32)"},
    {"max-connections", 0, OPT_INT, &o.max_connections, "N", "at a time (128)"},
    {"timeout", 0, OPT_NUMBER, &o.timeout, "S", "that a request may take to arrive, its body at 64 kB/s beside (20)"},
    {"token", 0, OPT_TEXT, &o.token, "T", "who asks must know it; others on this machine may see it in the list of processes"},
    {"token-file", 0, OPT_TEXT, &o.token_file, "FILE", "its first line is the token"},
    {"open-to-network", 0, OPT_FLAG, &o.open, NULL, "listen beyond this machine; needs a token of at least 16 bytes"},
    {"address", 0, OPT_TEXT, &o.address, "A", "in digits, where to listen (127.0.0.1; with --open-to-network 0.0.0.0)"},
    {"host-name", 0, OPT_TEXT, &o.host_name, "NAME", "by which browsers call this server, with --open-to-network"},
    {0},
};

/* -1: understood; else the exit code. */
static int check_ranges(void)
{
    if (o.port < 0 || o.port > 65535)
        return tool_usage(&cmd_serve, "--port %" PRId64 ": 0 to 65535", o.port);
    if (o.top < 0 || o.top > INT32_MAX)
        return tool_usage(&cmd_serve, "--top %" PRId64 ": 0 to %d", o.top, INT32_MAX);
    if (!(o.alpha >= 0.005 && o.alpha <= 0.5))
        return tool_usage(&cmd_serve, "--alpha %g: 0.005 to 0.5", o.alpha);
    if (o.results < 1 || o.results > 10000)
        return tool_usage(&cmd_serve, "--results %" PRId64 ": 1 to 10000", o.results);
    if (o.max_upload < 1 || o.max_upload > 1024)
        return tool_usage(&cmd_serve, "--max-upload %" PRId64 ": 1 to 1024 MB", o.max_upload);
    if (o.max_connections < 8 || o.max_connections > 10000)
        return tool_usage(&cmd_serve, "--max-connections %" PRId64 ": 8 to 10000", o.max_connections);
    if (!(o.timeout >= 1 && o.timeout <= 3600))
        return tool_usage(&cmd_serve, "--timeout %g: 1 to 3600 s", o.timeout);
    return -1;
}

/* The token of the option or of the file into out; "": none. -1: fine. */
static int read_token(char *out, size_t size)
{
    ecg_bytes bytes;
    ecg_err err = {0};
    out[0] = 0;
    if (o.token && o.token_file)
        return tool_usage(&cmd_serve, "--token or --token-file, not both");
    if (o.token_file && ecg_file_read(&bytes, o.token_file, &err))
        return tool_fail(&err);
    const char *at = o.token_file ? (const char *)bytes.at : o.token;
    const size_t n = !at ? 0 : o.token_file ? bytes.len : strlen(at);
    size_t len = 0;
    while (len < n && (unsigned char)at[len] > 32 && (unsigned char)at[len] < 127)
        len++;
    const bool fit = len && len < size && (len == n || at[len] == '\n' || at[len] == '\r');
    if (fit) {
        memcpy(out, at, len);
        out[len] = 0;
    }
    if (o.token_file)
        ecg_bytes_free(&bytes);
    if ((o.token || o.token_file) && !fit)
        return tool_usage(&cmd_serve, "a token has 1 to %zu printable bytes without blanks", size - 1);
    return -1;
}

static bool loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static int check_network(const char *token)
{
    if (o.address && !loopback(o.address) && !o.open)
        return tool_usage(&cmd_serve, "--address %s can be reached from other machines: --open-to-network and a token are needed", o.address);
    if (o.open && strlen(token) < ECG_TOKEN_MIN)
        return tool_usage(&cmd_serve, "--open-to-network needs --token or --token-file of at least %d bytes", ECG_TOKEN_MIN);
    if (o.host_name && !o.open)
        return tool_usage(&cmd_serve, "--host-name goes with --open-to-network");
    return -1;
}

static int serve(const ecg_serve_options *how)
{
    const ecg_watch *watch = tool_watch();
    ecg_serve *s;
    ecg_err err = {0};
    if (ecg_serve_start(&s, how, &err))
        return tool_fail(&err);
    const bool six = strchr(how->http.address, ':') != NULL, any = strcmp(how->http.address, "0.0.0.0") == 0 || strcmp(how->http.address, "::") == 0;
    printf("http://%s%s%s:%d/\n", six && !any ? "[" : "", o.host_name ? o.host_name : any ? "localhost" : how->http.address, six && !any ? "]" : "", ecg_serve_port(s));
    fflush(stdout);
    while (!ecg_stopped(watch))
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    ecg_serve_stop(s, 5);
    return EXIT_DONE;
}

/* The model and the files beside it. */
static ecg_status open_all(ecg_model **m, ecg_model_name *name, ecg_neighbours **neighbours, ecg_prevalence **prevalence, const char *model, const ecg_kernels *kernels, ecg_err *err)
{
    ecg_status st = ecg_model_open_with(m, model, &(ecg_exec){.k = kernels}, err); /* no pool: each worker is one thread, and they share the model */
    if (!st)
        st = ecg_model_reserve(*m, (int)common.threads, err);
    if (!st)
        st = ecg_model_name_of(name, model, err);
    if (!st && o.neighbours)
        st = ecg_neighbours_open(neighbours, o.neighbours, *m, err);
    if (!st && o.prevalence)
        st = ecg_prevalence_open(prevalence, o.prevalence, *m, err);
    return st;
}

static ecg_serve_options understood(const char *token)
{
    ecg_serve_options how = ecg_serve_usual;
    how.http.address = o.address ? o.address : o.open ? "0.0.0.0" : "127.0.0.1";
    how.http.port = (int)o.port;
    how.http.open = o.open;
    how.http.token = *token ? token : NULL;
    how.http.host_name = o.host_name;
    how.http.connections = (int)o.max_connections;
    how.http.per_address = o.open ? (int)o.max_connections / 4 : 0; /* on one machine all have one address */
    how.http.timeout = o.timeout;
    how.http.watch = tool_watch();
    how.folder = o.folder;
    how.workers = (int)common.threads;
    how.upload_bytes = (size_t)o.max_upload << 20;
    how.results = (int)o.results;
    how.top = (int)o.top;
    how.predict = (ecg_predict_options){.allow_missing_leads = o.allow_missing_leads, .alpha = o.alpha, .occlusion = o.occlusion};
    return how;
}

static int run(int argc, char **argv)
{
    int n;
    char token[256];
    ecg_err err = {0};
    ecg_exec exec = {0};
    ecg_model *m = NULL;
    ecg_model_name name;
    ecg_neighbours *neighbours = NULL;
    ecg_prevalence *prevalence = NULL;
    int code = opt_parse(&cmd_serve, options, argc, argv, &n, 1, 1);
    if (code < 0)
        code = check_ranges();
    if (code < 0)
        code = read_token(token, sizeof token);
    if (code < 0)
        code = check_network(token);
    if (code >= 0)
        return code;
    if (tool_exec(&exec, &err) || open_all(&m, &name, &neighbours, &prevalence, argv[1], exec.k, &err)) {
        code = tool_fail(&err);
    } else {
        ecg_serve_options how = understood(token);
        how.model = m;
        how.name = &name;
        how.predict.neighbours = neighbours;
        how.predict.prevalence = prevalence;
        code = serve(&how);
    }
    ecg_neighbours_close(neighbours);
    ecg_prevalence_close(prevalence);
    ecg_model_close(m);
    tool_exec_done(&exec);
    return code;
}

const command cmd_serve = {
    .name = "serve",
    .summary = "a model behind a web page on this machine: drop a recording, read its page",
    .usage = "MODEL [--port N] [--folder DIR] [--open-to-network --token-file FILE]",
    .example = "ecgraft serve demo/model.safetensors --folder recordings",
    .more = "Prints the address and serves until Ctrl-C. Results are kept in memory only. Nobody but this machine is answered unless\n"
            "--open-to-network and a token are given. docs/serve.md has the HTTP interface and the limits.",
    .run = run,
};
