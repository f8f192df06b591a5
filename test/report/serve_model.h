/* SPDX-License-Identifier: MIT
 * serve_model.h: a tiny model with random weights behind a server on a port of its own, and a recording as files. Include cmocka.h first. */
#ifndef ECG_TEST_REPORT_SERVE_MODEL_H
#define ECG_TEST_REPORT_SERVE_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/made.h"
#include "report/serve.h"

enum { TINY_LABELS = 4 };

static void tiny_model(ecg_model *m)
{
    static const char *const diagnoses[TINY_LABELS] = {"E119", "I480", "I509", "NORM"}, *const labs[TINY_LABELS] = {"Calcium_low", "Glucose_high", "Potassium_high", "Sodium_low"};
    made_heads(m, &(made_shape){.width = 8, .length = 250, .blocks = 1, .state = 4, .diagnoses = TINY_LABELS, .labs = TINY_LABELS}, diagnoses, labs);
    made_ready(m);
}

static ecg_model served_model;
static const ecg_model_name served_name = {"tiny.safetensors", "00"};

static int make_served_model(void **state)
{
    (void)state;
    tiny_model(&served_model);
    return 0;
}

static int drop_served_model(void **state)
{
    (void)state;
    ecg_model_clear(&served_model);
    return 0;
}

static ecg_serve_options tiny_options(void)
{
    ecg_serve_options o = ecg_serve_usual;
    o.http.port = 0;
    o.model = &served_model;
    o.name = &served_name;
    o.workers = 2;
    o.upload_bytes = 1 << 20;
    return o;
}

static ecg_serve *start(const ecg_serve_options *o)
{
    ecg_serve *s;
    ecg_err err = {0};
    if (ecg_serve_start(&s, o, &err))
        fail_msg("%s", err.msg);
    return s;
}

/* A WFDB header of so many leads and samples at 500 Hz, and its bytes: a beat a second, without noise. */
static void put_header(ecg_text *to, const char *name, int leads, int samples)
{
    static const char *const lead[] = {"I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"};
    ecg_text_printf(to, "%s %d 500 %d\r\n", name, leads, samples);
    for (int i = 0; i < leads; i++)
        ecg_text_printf(to, "%s.dat 16 1000/mV 16 0 0 0 0 %s\r\n", name, lead[i]);
}

static void put_samples(ecg_text *to, int leads, int samples)
{
    static const int height[12] = {24, 40, 16, -32, 4, 28, -20, 30, 40, 50, 40, 30}; /* II = I + III, and what follows from them */
    for (int t = 0; t < samples; t++)
        for (int i = 0; i < leads; i++) {
            const int at = t % 500, value = height[i] * (at < 20 ? at : at < 50 ? 40 - at : at > 150 && at < 250 ? 3 : 0);
            const char bytes[2] = {(char)(value & 255), (char)(value >> 8)};
            ecg_text_add(to, bytes, 2);
        }
}

/* One file of a body with the boundary XX. */
static void put_part(ecg_text *to, const char *file, const void *bytes, size_t len)
{
    ecg_text_printf(to, "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\nContent-Type: application/octet-stream\r\n\r\n", file);
    ecg_text_add(to, bytes, len);
    ecg_text_puts(to, "\r\n");
}

static void put_recording(ecg_text *to, const char *name, int leads, int samples)
{
    ecg_text header = {0}, data = {0};
    char file[64];
    put_header(&header, name, leads, samples);
    put_samples(&data, leads, samples);
    snprintf(file, sizeof file, "%s.hea", name);
    put_part(to, file, header.at, header.len);
    snprintf(file, sizeof file, "%s.dat", name);
    put_part(to, file, data.at, data.len);
    ecg_text_clear(&header);
    ecg_text_clear(&data);
}

/* POST /api/predict with that body, which ends here. */
static ecg_text upload_of(ecg_text *body)
{
    ecg_text request = {0};
    ecg_text_puts(body, "--XX--\r\n");
    ecg_text_printf(&request, "POST /api/predict HTTP/1.1\r\nHost: localhost\r\nX-Ecgraft: 1\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=XX\r\n"
                    "Content-Length: %zu\r\n\r\n", body->len);
    ecg_text_add(&request, body->at, body->len);
    ecg_text_clear(body);
    return request;
}

#endif
