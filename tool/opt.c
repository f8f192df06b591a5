/* SPDX-License-Identifier: MIT */
#include "opt.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

opt_common common = {.seed = 42};

static const option common_options[] = {
    {"threads", 0, OPT_INT, &common.threads, "N", "threads (default: the number of processors)"},
    {"seed", 0, OPT_INT, &common.seed, "S", "seed of everything that is drawn (42)"},
    {"quiet", 'q', OPT_FLAG, &common.quiet, NULL, "no narration"},
    {"help", 'h', OPT_FLAG, &common.help, NULL, "this text"},
    {0},
};

/* ---- help ----------------------------------------------------------------------------------------------------------------- */

static void print_options(FILE *to, const option *o)
{
    for (; o && o->name; o++) {
        char left[64];
        if (o->letter)
            snprintf(left, sizeof left, "-%c, --%s%s%s", o->letter, o->name, o->value ? " " : "", o->value ? o->value : "");
        else
            snprintf(left, sizeof left, "    --%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        fprintf(to, "  %-32s %s\n", left, o->help);
    }
}

static void print_help(FILE *to, const command *c, const option *options)
{
    fprintf(to, "Example:\n  %s\n\nUsage:\n  ecgraft %s %s\n\n%s.\n\n", c->example, c->name, c->usage, c->summary);
    if (c->more)
        fprintf(to, "%s\n\n", c->more);
    fprintf(to, "Options:\n");
    print_options(to, options);
    print_options(to, common_options);
    fprintf(to, "\n%s\n", ECG_STATEMENT);
}

int tool_usage(const command *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "ecgraft %s: ", c->name);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nUsage: ecgraft %s %s\n(ecgraft %s --help tells more)\n", c->name, c->usage, c->name);
    va_end(args);
    return EXIT_USAGE;
}

/* ---- parsing -------------------------------------------------------------------------------------------------------------- */

static const option *find(const option *o, const char *name, size_t len, char letter)
{
    for (; o && o->name; o++)
        if (letter ? o->letter == letter : strlen(o->name) == len && strncmp(o->name, name, len) == 0)
            return o;
    return NULL;
}

static int unknown(const command *c, const option *options, const char *name, size_t len)
{
    const char *names[128];
    char word[64];
    int n = 0;
    snprintf(word, sizeof word, "%.*s", (int)len, name);
    for (const option *o = options; o && o->name && n < 120; o++)
        names[n++] = o->name;
    for (const option *o = common_options; o->name; o++)
        names[n++] = o->name;
    const char *near = ecg_nearest(word, names, n);
    return near ? tool_usage(c, "no option --%s; did you mean --%s?", word, near) : tool_usage(c, "no option --%s", word);
}

/* Returns -1, or the exit code of a mistake. */
static int take(const command *c, const option *o, const char *value)
{
    switch (o->kind) {
    case OPT_FLAG: *(bool *)o->at = true; return -1;
    case OPT_TEXT: *(const char **)o->at = value; return -1;
    case OPT_INT:
        if (!ecg_parse_i64(o->at, value, strlen(value)) || strchr(value, '.'))
            return tool_usage(c, "--%s takes a whole number, not \"%s\"", o->name, value);
        return -1;
    case OPT_NUMBER:
        if (!ecg_parse_double(o->at, value, strlen(value)))
            return tool_usage(c, "--%s takes a number, not \"%s\"", o->name, value);
        return -1;
    case OPT_LIST: {
        opt_list *list = o->at;
        if (list->n == (int)(sizeof list->at / sizeof *list->at))
            return tool_usage(c, "--%s more than %d times", o->name, list->n);
        list->at[list->n++] = value;
        return -1;
    }
    }
    return -1;
}

int opt_parse(const command *c, const option *options, int argc, char **argv, int *positional, int min, int max)
{
    int n = 0;
    bool only_names = false, threads_given = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (only_names || word[0] != '-' || !word[1]) {
            argv[++n] = argv[i]; /* n <= i: nothing unread is overwritten */
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_names = true;
            continue;
        }
        const bool is_long = word[1] == '-';
        const char *name = word + 2, *value = is_long ? strchr(name, '=') : NULL;
        const size_t len = value ? (size_t)(value - name) : is_long ? strlen(name) : 1;
        const option *o = is_long ? find(options, name, len, 0) : word[2] ? NULL : find(options, NULL, 0, word[1]);
        if (!o)
            o = is_long ? find(common_options, name, len, 0) : word[2] ? NULL : find(common_options, NULL, 0, word[1]);
        if (!o)
            return is_long ? unknown(c, options, name, len) : tool_usage(c, "no option %s", word);
        if (value)
            value++;
        if (o->kind == OPT_FLAG && value)
            return tool_usage(c, "--%s takes no value", o->name);
        if (o->kind != OPT_FLAG && !value) {
            if (i + 1 == argc)
                return tool_usage(c, "--%s needs a value (%s)", o->name, o->value);
            value = argv[++i];
        }
        const int mistake = take(c, o, value);
        if (mistake >= 0)
            return mistake;
        if (o->at == &common.seed)
            common.seed_given = true;
        if (o->at == &common.threads)
            threads_given = true;
    }
    if (common.help) {
        print_help(stdout, c, options);
        return EXIT_DONE;
    }
    if (!threads_given) {
        const long online = sysconf(_SC_NPROCESSORS_ONLN);
        common.threads = online > 0 ? online : 1;
    }
    if (common.threads < 1 || common.threads > 1024)
        return tool_usage(c, "--threads %" PRId64 ": 1 to 1024", common.threads);
    if (common.seed < 0)
        return tool_usage(c, "--seed %" PRId64 ": a seed is not negative", common.seed);
    if (common.precision && strcmp(common.precision, "float32") && strcmp(common.precision, "bf16"))
        return tool_usage(c, "--precision %s: float32 or bf16", common.precision);
    *positional = n;
    if (n < min)
        return tool_usage(c, n ? "something is missing after %s" : "nothing to work on", n ? argv[n] : "");
    if (max >= 0 && n > max)
        return tool_usage(c, "%s is one argument too many", argv[max + 1]);
    return -1;
}

/* ---- saying --------------------------------------------------------------------------------------------------------------- */

int tool_fail(const ecg_err *err)
{
    char text[1024];
    ecg_err_text(text, sizeof text, err);
    fprintf(stderr, "ecgraft: %s\n", text);
    switch (err->status) {
    case ECG_EREFUSED:
    case ECG_ECONTRACT: return EXIT_REFUSED;
    case ECG_EINTR: return EXIT_INTERRUPTED;
    case ECG_OK: return EXIT_DONE;
    default: return EXIT_FAILED;
    }
}

static volatile sig_atomic_t stop;
static struct {
    bool terminal, line_open;
    double began, shown;
    char what[64];
} screen;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void close_line(void)
{
    if (screen.line_open)
        fputs("\r\033[K", stderr);
    screen.line_open = false;
}

static void say(void *ctx, const char *line)
{
    (void)ctx;
    if (common.quiet)
        return;
    close_line();
    fprintf(stderr, "%s\n", line);
}

/* One line that is overwritten, ten times a second at most, only on a terminal. */
static void progress(void *ctx, const char *what, double done, double total, const char *extra)
{
    (void)ctx;
    if (common.quiet || !screen.terminal)
        return;
    const double t = now();
    if (strncmp(screen.what, what, sizeof screen.what - 1) != 0) {
        snprintf(screen.what, sizeof screen.what, "%s", what);
        screen.began = t;
        screen.shown = 0;
    }
    if (done >= total) {
        close_line();
        screen.what[0] = 0;
        return;
    }
    if (t - screen.shown < 0.1)
        return;
    screen.shown = t;
    char eta[32] = "";
    if (done > 0 && t - screen.began > 1) {
        const long left = lround((t - screen.began) * (total - done) / done);
        snprintf(eta, sizeof eta, ", %ld:%02ld left", left / 60, left % 60);
    }
    fprintf(stderr, "\r\033[K%s %3.0f %%%s%s%s", what, 100 * done / total, eta, extra && *extra ? ", " : "", extra ? extra : "");
    screen.line_open = true;
    fflush(stderr);
}

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

const ecg_watch *tool_watch(void)
{
    static const ecg_watch watch = {.say = say, .progress = progress, .stop = &stop};
    static bool ready;
    if (!ready) {
        ready = true;
        screen.terminal = isatty(2) && getenv("TERM") && strcmp(getenv("TERM"), "dumb") != 0;
        struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}; /* a second Ctrl-C ends at once */
        sigaction(SIGINT, &act, NULL);
        sigaction(SIGTERM, &act, NULL);
    }
    return &watch;
}

void tool_synthetic_note(void)
{
    static bool said;
    if (!said && !common.quiet)
        fprintf(stderr, "synthetic cohort: its patients never lived, and its figures say nothing of real ones\n");
    said = true;
}

ecg_status tool_exec(ecg_exec *x, ecg_err *err)
{
    const char *level = getenv("ECGRAFT_CPU"), *why = "";
    const ecg_cpu cpu = ecg_cpu_here();
    *x = (ecg_exec){.k = ecg_kernels_choose(level, &cpu, &why)};
    if (!x->k)
        return ecg_fail(err, ECG_EARG, "ECGRAFT_CPU=%s: %s", level, why);
    if (common.precision && strcmp(common.precision, "bf16") == 0) {
        x->k = ecg_kernels_at(x->k, ECG_IN_BF16);
        ecg_say(tool_watch(), "precision bf16: %s", x->k->words);
    }
    x->pool = ecg_pool_new((int)common.threads);
    if (!x->pool)
        return ecg_fail(err, ECG_ENOMEM, "no room for %" PRId64 " threads", common.threads);
    return ECG_OK;
}

void tool_exec_done(ecg_exec *x)
{
    ecg_pool_free(x->pool);
    *x = (ecg_exec){0};
}
