/* SPDX-License-Identifier: MIT
 * study_page.c: the report of a study, section by section in the order a reviewer asks: what was found, the table, how sure, is it real, where
 * does it come from, who was in, how was it made. */
#include "report/study_page.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/html.h"
#include "report/study_parts.h"

/* On top of the style of all pages. Lines are drawn and not painted as grounds: printers leave those out. */
static const char style[] =
    ".badge{font-size:.7rem;font-weight:400;color:var(--muted);border:1px solid var(--line);border-radius:.6rem;padding:.05rem .5rem;vertical-align:.15em;white-space:nowrap}\n"
    "a{color:var(--bar)}nav ul{list-style:none;margin:1rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.9rem}nav a{padding:.2rem 0;display:inline-block}\n"
    ".verdict{margin:.6rem 0;padding:0;list-style:none}.verdict li{padding:.45rem 0 .45rem .9rem;border-left:.25rem solid var(--line);margin:.35rem 0}\n"
    ".verdict li.main{border-left-color:var(--bar);font-size:1.06em}.verdict b::first-letter{text-transform:uppercase}.verdict b{font-weight:600;display:block;font-size:.82rem;color:var(--muted)}\n"
    "tr.ours th,tr.ours td{font-weight:600}tr.group th{color:var(--muted);font-size:.82rem;padding-top:.7rem}tr.ours .ci{font-weight:400}.ci{color:var(--muted)}.state{color:var(--muted);font-style:italic}\n"
    ".state small,.because small{display:block!important;white-space:normal;min-width:0!important;color:var(--muted);font-style:normal;max-width:18rem;margin-left:auto}.change{display:block;color:var(--muted)}\n"
    "dd,li,p,figcaption,td,tbody th{overflow-wrap:anywhere}td{min-width:6.3rem}tbody th{min-width:8.5rem}td.n{min-width:0;overflow-wrap:normal}thead th.n{white-space:normal}.state small{overflow-wrap:anywhere}.code{font-family:ui-monospace,\"DejaVu Sans Mono\",monospace;font-size:.9em}\n"
    ".forest tbody td,.forest tbody th{vertical-align:middle;padding-top:.38rem;padding-bottom:.38rem}.forest th.f{position:relative;height:3.4rem;text-align:center;vertical-align:top}\n"
    ".forest tbody th{min-width:11rem}.forest .f{position:relative;padding:0;min-width:12rem;width:32%}.f>svg{position:absolute;left:0;top:0;width:100%;height:100%;overflow:visible}td.f2{height:2.5rem}td.f1{height:1.9rem}\n"
    ".f text{fill:var(--muted);font-size:11px;font-weight:400;text-anchor:middle}.f .tick{stroke:var(--muted);stroke-width:1}line.tick{stroke:var(--muted)}.ref{stroke:var(--muted);stroke-width:1;stroke-dasharray:3 3}\n"
    ".sa{stroke:var(--bar);stroke-width:1.8}.sb{stroke:var(--bar2);stroke-width:1.8}.sc{stroke:var(--muted);stroke-width:1.8}.open{fill:var(--ground);stroke:var(--text);stroke-width:1.4}\n"
    "line.tick{stroke-dasharray:none}.keys .entry{display:inline-block;margin-right:1rem}.keys .key{width:1em;height:1em;vertical-align:-.1em}\n"
    ".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(17.5rem,1fr));gap:.4rem 1.4rem}.panel{margin:.4rem 0}.panel figcaption{font-size:.85rem;color:var(--text)}\n"
    ".panels.two{grid-template-columns:repeat(auto-fill,minmax(21rem,1fr))}.panel svg{max-width:26rem}.keys .key.long{width:2em}.key .line path{stroke-width:2!important}.key .lb path{stroke-dasharray:6 3}.key .lc path{stroke-dasharray:2 3}.pair{min-width:0}.pair h3{margin:.9rem 0 0}.pair figcaption{color:var(--muted)}figure.panel text{font-size:3.3px}.grid path{stroke:var(--line);stroke-width:.25}.tick path{stroke:var(--muted);stroke-width:.3}.panel .ref path{stroke:var(--muted);"
    "stroke-width:.3;stroke-dasharray:1.2 1.2;fill:none}.line path{fill:none;stroke-width:.6;stroke-linejoin:round;stroke-linecap:round}.la path{stroke:var(--bar)}.lb path{stroke:var(--bar2);"
    "stroke-dasharray:2.2 1.1}.lc path{stroke:var(--text);stroke-dasharray:.6 1.2}.ld path{stroke:var(--muted);stroke-width:.35}\n"
    ".card{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.45rem 1.2rem;margin:.8rem 0}.card dt{color:var(--muted)}.card dd{margin:0}.card dd p,.card ul{margin:0;padding-left:0}"
    ".card ul{padding-left:1.1rem}\n"
    "@media(max-width:40rem){.card{grid-template-columns:1fr;gap:.1rem}.card dd{margin-bottom:.6rem}.narrow{display:table-cell}.wide table{min-width:34rem}.wide table.forest{min-width:40rem}"
    "figure.panel text{font-size:3.3px}caption{width:calc(100vw - 1.9rem)}.wide tbody th{position:sticky;left:0;z-index:1;background:var(--ground);box-shadow:inset 0 -1px var(--line)}.forest tbody th{min-width:8.5rem}.forest .f{min-width:11rem}.panels,.panels.two{grid-template-columns:1fr}}\n"
    "@page{@bottom-left{content:\"" ECG_STATEMENT "\";font:8pt sans-serif;color:#56606b}@bottom-right{content:counter(page) \" / \" counter(pages);font:8pt sans-serif;color:#56606b}}\n"
    "@media print{nav{display:none}h2,h3,.keys,p:has(+.wide),p:has(+.panels),p:has(+.keys),tr.group{break-after:avoid}.wide{break-inside:avoid}table{font-size:8.2pt}th,td{padding-right:.4rem}.n{padding-right:.4rem;padding-left:.2rem}"
    ".forest .f{min-width:0;width:30%}.panels,.panels.two{grid-template-columns:1fr 1fr 1fr}.panels.two{grid-template-columns:1fr 1fr}.panel,.pair{break-inside:avoid}.verdict li,.card dd,.card dt{break-inside:avoid}a{color:inherit;text-decoration:none}"
    ".f text{font-size:9px}details:not([open])>summary{font-style:italic}}\n";

static void put_contents(ecg_text *to)
{
    static const char *const links[][2] = {{"found", "What was found"}, {"table1", "Table 1"}, {"differences", "Differences"}, {"controls", "Controls"}, {"curves", "Learning curves"},
                                           {"labels", "Label by label"}, {"calibration", "Calibration"}, {"subgroups", "Subgroups"}, {"forgetting", "What is forgotten"},
                                           {"ablations", "Ablations"}, {"cohorts", "Who is in"}, {"card", "Model card"}, {"tripod", "TRIPOD+AI"}, {"making", "How it was made"}};
    ecg_text_puts(to, "<nav aria-label=\"Contents\"><ul>\n");
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        ecg_text_printf(to, "<li><a href=\"#%s\">%s</a></li>\n", links[i][0], links[i][1]);
    ecg_text_puts(to, "</ul></nav>\n");
}

static void put_count(ecg_text *to, const json_t *counts, const char *role, const char *what)
{
    const int64_t n = ecg_study_count(json_object_get(counts, role), "records");
    if (n < 0)
        return;
    ecg_text_puts(to, what);
    ecg_html_count(to, n);
}

/* Who was asked, before what was found. */
static void put_facts(ecg_text *to, const ecg_study_view *v)
{
    const json_t *cohorts = ecg_study_list(v->root, "cohorts"), *c = json_array_get(cohorts, 0), *labels = json_object_get(c, "labels");
    const json_t *labelled = json_object_get(c, "labelled"), *counts = json_object_get(c, "counts");
    const size_t more = json_array_size(cohorts), seeds = json_array_size(ecg_study_list(v->root, "seeds"));
    const int64_t seen = ecg_study_count(labelled, "records"), of = ecg_study_count(labelled, "of"), dx = ecg_study_count(labels, "diagnoses"), labs = ecg_study_count(labels, "labs");
    if (!c)
        return;
    ecg_text_puts(to, "<p>");
    ecg_html_text(to, ecg_study_text(c, "file"));
    put_count(to, counts, "train", ": ECGs for training ");
    if (seen >= 0 && of > seen)
        ecg_text_printf(to, " (diagnoses of %" PRId64 " are seen)", seen);
    put_count(to, counts, "validation", ", for validation ");
    put_count(to, counts, "test", ", for test ");
    if (dx >= 0 && labs >= 0)
        ecg_text_printf(to, "; %" PRId64 " diagnoses, %" PRId64 " laboratory labels, %" PRId64 " columns of the table", dx, labs, ecg_study_count(json_object_get(c, "columns"), "all"));
    if (more > 1)
        ecg_text_printf(to, "; and %zu more <a href=\"#cohorts\">cohort%s</a>", more - 1, more > 2 ? "s" : "");
    ecg_text_printf(to, ". %zu seed%s, settings <a href=\"#making\">", seeds, seeds == 1 ? "" : "s");
    ecg_html_text(to, *ecg_study_text(v->root, "preset") ? ecg_study_text(v->root, "preset") : "without a name");
    ecg_text_puts(to, "</a>.</p>\n");
}

static void put_found(ecg_text *to, const ecg_study_view *v)
{
    size_t i;
    json_t *x;
    ecg_put_section(to, v, "found", "What was found");
    ecg_text_puts(to, "<ul class=\"verdict\">\n");
    json_array_foreach(v->verdict, i, x)
    {
        const char *about = ecg_study_text(x, "about");
        const bool main_one = !strcmp(about, "ours against signal only") || !strcmp(about, "shuffled pairs") || !strcmp(about, "completeness");
        ecg_text_puts(to, main_one ? "<li class=\"main\"><b>" : "<li><b>");
        ecg_html_text(to, about);
        ecg_text_puts(to, "</b> ");
        ecg_put_words(to, ecg_study_text(x, "text"));
        ecg_text_puts(to, "</li>\n");
    }
    ecg_text_puts(to, "</ul>\n<p class=\"small muted\">These sentences are made by rule from the figures below: a difference counts as above or below zero only if its whole 95 % interval "
                      "does.</p>\n</section>\n");
}

static ecg_status make_page(ecg_text *page, ecg_study_view *v, ecg_err *err)
{
    ecg_text looks = {0};
    ecg_text_puts(&looks, style);
    if (v->synthetic)
        ecg_text_puts(&looks, "@page{@bottom-center{content:\"Synthetic cohort.\";font:8pt sans-serif;color:#56606b}}\n");
    ecg_html_begin_with(page, "Study", "Table 1: an ECG encoder that has seen the table", v->synthetic, looks.at ? looks.at : style);
    ecg_text_clear(&looks);
    put_facts(page, v);
    put_contents(page);
    put_found(page, v);
    ecg_put_table_1(page, v);
    ecg_put_differences(page, v);
    ecg_put_controls(page, v);
    ecg_put_curves(page, v);
    ecg_status st = ecg_put_labels(page, v, err);
    st = st ? st : ecg_put_calibration(page, v, err);
    if (st)
        return st;
    ecg_put_forgetting(page, v);
    ecg_put_ablations(page, v);
    ecg_put_cohorts(page, v);
    ecg_put_card(page, v);
    ecg_put_tripod(page, v);
    ecg_put_making(page, v);
    ecg_html_end(page);
    return page->failed ? ecg_fail(err, ECG_ENOMEM, "no memory for the page") : ECG_OK;
}

static ecg_status write(const ecg_study_view *v, const char *name, const char *bytes, size_t len, ecg_err *err)
{
    char path[600];
    const ecg_status st = ecg_join(path, sizeof path, v->folder, name, err);
    return st ? st : ecg_file_write_whole(path, bytes, len, err);
}

static ecg_status write_all(ecg_study_view *v, ecg_err *err)
{
    ecg_text page = {0}, markdown = {0};
    char *json = NULL;
    ecg_status st = make_page(&page, v, err);
    if (!st) {
        ecg_study_markdown(&markdown, v);
        json_t *j = ecg_study_json(v);
        json = j ? json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
        json_decref(j);
        if (!json || markdown.failed)
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the report");
    }
    st = st ? st : write(v, "report.html", page.at, page.len, err);
    st = st ? st : write(v, "report.md", markdown.at, markdown.len, err);
    st = st ? st : write(v, "report.json", json, strlen(json), err);
    free(json);
    ecg_text_clear(&page);
    ecg_text_clear(&markdown);
    return st;
}

ecg_status ecg_study_report(const char *folder, ecg_err *err)
{
    ecg_study_view v;
    ecg_status st = ecg_study_read(&v, folder, err);
    if (st)
        return st;
    st = ecg_study_judge(&v, err);
    st = st ? st : write_all(&v, err);
    ecg_study_view_clear(&v);
    return st;
}
