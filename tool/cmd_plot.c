/* SPDX-License-Identifier: MIT
 * cmd_plot.c: one recording on ECG paper. */
#include "base/text.h"
#include "opt.h"
#include "report/ecgplot.h"

static struct {
    const char *out, *layout, *rhythm, *title;
    int64_t speed, gain;
} o = {.layout = "3x4", .speed = 25, .gain = 10};

static const option options[] = {
    {"output", 'o', OPT_TEXT, &o.out, "FILE", "the drawing, SVG (standard output)"},
    {"layout", 0, OPT_TEXT, &o.layout, "NAME", "3x4, 6x2, 12x1 or cabrera (3x4)"},
    {"speed", 0, OPT_INT, &o.speed, "MM", "paper speed: 25 or 50 mm/s (25)"},
    {"gain", 0, OPT_INT, &o.gain, "MM", "5, 10 or 20 mm/mV (10)"},
    {"rhythm", 0, OPT_TEXT, &o.rhythm, "LEAD", "lead of the strip below, or none (3x4: II, else none)"},
    {"title", 0, OPT_TEXT, &o.title, "TEXT", "first line of the page (the record's name)"},
    {0},
};

static int run(int argc, char **argv);

const command cmd_plot = {
    .name = "plot",
    .summary = "One recording on ECG paper, as SVG in true millimetres",
    .usage = "RECORDING -o FILE.svg [options]",
    .example = "ecgraft plot 40689238.hea -o 40689238.svg --layout 6x2 --speed 50",
    .more = "The first 10 s are drawn as they were recorded, without any filter. Columns follow each other in time.\n"
            "Printed at 100 %, 25 mm are a second; at 50 mm/s the page is 535 mm wide.",
    .run = run,
};

/* -1: the options are understood; else the exit code. */
static int understand(ecg_plot_options *p)
{
    *p = ecg_plot_usual;
    int layout = 0;
    while (layout < ECG_LAYOUTS && !ecg_same_word(o.layout, ecg_layout_names[layout]))
        layout++;
    if (layout == ECG_LAYOUTS)
        return tool_usage(&cmd_plot, "--layout %s: 3x4, 6x2, 12x1 or cabrera", o.layout);
    if (o.speed != 25 && o.speed != 50)
        return tool_usage(&cmd_plot, "--speed %" PRId64 ": 25 or 50 mm/s", o.speed);
    if (o.gain != 5 && o.gain != 10 && o.gain != 20)
        return tool_usage(&cmd_plot, "--gain %" PRId64 ": 5, 10 or 20 mm/mV", o.gain);
    if (o.rhythm) {
        p->rhythm = ecg_same_word(o.rhythm, "none") ? ECG_RHYTHM_NONE : ecg_lead_from_name(o.rhythm);
        if (p->rhythm == -1)
            return tool_usage(&cmd_plot, "--rhythm %s: I, II, III, aVR, aVL, aVF, V1 ... V6 or none", o.rhythm);
    }
    p->layout = (ecg_layout)layout;
    p->speed_mm_per_s = (int)o.speed;
    p->gain_mm_per_mv = (int)o.gain;
    p->title = o.title;
    return -1;
}

static int run(int argc, char **argv)
{
    ecg_plot_options p;
    ecg_record rec = {0};
    ecg_text svg = {0};
    ecg_err err = {0};
    int n;
    int code = opt_parse(&cmd_plot, options, argc, argv, &n, 1, 1);
    if (code < 0)
        code = understand(&p);
    if (code >= 0)
        return code;
    ecg_status st = ecg_record_read(&rec, argv[1], &err);
    if (!st && (st = ecg_plot(&svg, &rec, &p, &err)))
        ecg_fail_in(&err, st, argv[1]);
    if (!st && o.out)
        st = ecg_file_write_whole(o.out, svg.at, svg.len, &err);
    else if (!st && (fwrite(svg.at, 1, svg.len, stdout) != svg.len || fflush(stdout)))
        st = ecg_fail_errno(&err, "standard output", "cannot write");
    ecg_text_clear(&svg);
    ecg_record_clear(&rec);
    return st ? tool_fail(&err) : EXIT_DONE;
}
