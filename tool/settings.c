/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <string.h>

static int from_files(ecg_config *out, const run_options *o, const char *base)
{
    ecg_err err = {0};
    bool found = false;
    if (o->resume && !o->preset && ecg_run_inherit(out, &found, o->out, &err))
        return tool_fail(&err);
    if (!found && base && !o->preset && ecg_run_inherit(out, &found, base, &err))
        return tool_fail(&err);
    if (o->config && ecg_config_load(out, o->config, o->preset != NULL || found, &err))
        return tool_fail(&err);
    return -1;
}

int settings_resolve(ecg_config *out, const command *c, const run_options *o, const char *base, const char *section)
{
    ecg_err err = {0};
    char text[96];
    if (!o->out)
        return tool_usage(c, "-o RUN is missing");
    if (ecg_config_preset(out, o->preset ? o->preset : "small", &err))
        return tool_usage(c, "--preset: %s", err.msg);
    const int code = from_files(out, o, base);
    if (code >= 0)
        return code;
    const bool set_may_name_labels = strcmp(section, "pretrain") != 0; /* finetune --set NAME, joint --set NAME */
    for (int i = 0; i < o->set.n; i++)
        if ((strchr(o->set.at[i], '=') || !set_may_name_labels) && ecg_config_assign(out, o->set.at[i], &err))
            return tool_usage(c, "--set: %s", err.msg);
    const struct { const char *key; int64_t value; } flags[] = { {"epochs", o->epochs}, {"batch", o->batch} };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        snprintf(text, sizeof text, "%s.%s=%" PRId64, section, flags[i].key, flags[i].value);
        if (flags[i].value && ecg_config_assign(out, text, &err))
            return tool_usage(c, "--%s: %s", flags[i].key, err.msg);
    }
    snprintf(text, sizeof text, "train.precision=%.60s", common.precision ? common.precision : "");
    if (common.precision && ecg_config_assign(out, text, &err))
        return tool_usage(c, "--precision: %s", err.msg);
    snprintf(text, sizeof text, "train.seed=%" PRId64, common.seed);
    if (common.seed_given && ecg_config_assign(out, text, &err))
        return tool_usage(c, "--seed: %s", err.msg);
    return -1;
}

int settings_label_set(const char **set, const command *c, const run_options *o)
{
    for (int i = 0; i < o->set.n; i++) {
        if (strchr(o->set.at[i], '='))
            continue;
        if (*set && strcmp(*set, o->set.at[i]))
            return tool_usage(c, "--set names two label sets, %s and %s", *set, o->set.at[i]);
        *set = o->set.at[i];
    }
    return -1;
}

int settings_roles(ecg_roles *roles, const command *c, const char *text, int *code)
{
    ecg_err err = {0};
    if (!text)
        return 0;
    if (!ecg_roles_parse(roles, text, &err))
        return 1;
    *code = tool_usage(c, "--roles: %s", err.msg);
    return -1;
}

void settings_command(char *out, size_t size, int argc, char **argv)
{
    size_t at = (size_t)snprintf(out, size, "ecgraft");
    for (int i = 0; i < argc && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, " %s", argv[i]);
}

int settings_train(const run_options *o, ecg_study study, const char *cohort, ecg_status (*stage)(const ecg_study *study, ecg_err *err))
{
    ecg_cohort c;
    ecg_exec exec = {0};
    ecg_err err = {0};
    if (ecg_cohort_open(&c, cohort, &err))
        return tool_fail(&err);
    if (c.synthetic)
        tool_synthetic_note();
    study.cohort = &c;
    study.folder = o->out;
    study.resume = o->resume;
    study.force = o->force;
    study.exec = &exec;
    study.watch = tool_watch();
    ecg_status st = tool_exec(&exec, &err);
    if (!st)
        st = stage(&study, &err);
    tool_exec_done(&exec);
    ecg_cohort_close(&c);
    return st ? tool_fail(&err) : EXIT_DONE;
}
