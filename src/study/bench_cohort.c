/* SPDX-License-Identifier: MIT
 * bench_cohort.c: a synthetic hospital written, and a cohort built from it. Bound: its bytes at the speed of memory. */
#include <stdio.h>

#include "base/file.h"
#include "cohort/build.h"
#include "cohort/synth.h"
#include "study/bench_parts.h"
#include "study/runlog.h"

enum { PATIENTS = 240 };

ecg_status ecg_bench_hospital(ecg_bench_run *b, bool synth, bool cohort, ecg_err *err)
{
    char hospital[512], file[512];
    ecg_synth_options o;
    ecg_build_result built;
    ecg_synth_defaults(&o);
    o.seed = 42;
    o.first = 1;
    o.last = o.patients = PATIENTS;
    o.twins = 0;
    o.waveforms = o.distractors = true;
    ecg_status st = ecg_join(hospital, sizeof hospital, b->folder, "hospital", err);
    if (st || (st = ecg_join(file, sizeof file, b->folder, "hospital.cohort", err)))
        return st;
    double began = ecg_clock();
    const ecg_watch quiet = {.stop = b->o->watch ? b->o->watch->stop : NULL};
    if ((st = ecg_synth_write(hospital, &o, b->o->exec->pool, &quiet, err)))
        return st;
    const double wrote = ecg_clock() - began, bytes = ecg_bench_bytes(hospital);
    if (synth)
        ecg_bench_say(b, (ecg_bench_row){.name = "synth", .precision = "float32", .batch = PATIENTS, .value = PATIENTS / wrote, .bound = PATIENTS * b->copy / bytes,
                                         .unit = "patients/s", .what = "a synthetic hospital written"});
    if (!cohort)
        return ECG_OK;
    const ecg_build_options how = {.from.mimic = hospital, .output = file, .command = "bench", .min_count = 10, .min_labs = 8, .max_failures = -1, .seed = 42};
    began = ecg_clock();
    if ((st = ecg_cohort_build_mimic(&built, &how, b->o->exec->pool, &quiet, err)))
        return st;
    const double took = ecg_clock() - began;
    ecg_bench_say(b, (ecg_bench_row){.name = "cohort", .precision = "float32", .batch = built.records, .value = (double)built.records / took,
                                     .bound = (double)built.records * b->copy / bytes, .unit = "records/s", .what = "a cohort built from it"});
    return ECG_OK;
}
