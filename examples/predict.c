/* SPDX-License-Identifier: MIT
 * predict.c: a model, a recording, an answer; the public header only.
 *
 *   cc -o predict predict.c $(pkg-config --cflags --libs ecgraft)
 *   ./predict model.safetensors 40689238.hea
 */
#include <ecgraft.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    ecg_err err = {0};
    ecg_model *model = NULL;
    ecg_record rec = {0};
    ecg_answer answer = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: predict MODEL RECORDING\n");
        return 2;
    }
    if (ecg_model_open(&model, argv[1], &err) || ecg_record_read(&rec, argv[2], &err) || ecg_predict(&answer, model, &rec, NULL, &err)) {
        fprintf(stderr, "%s: %s\n", err.path[0] ? err.path : argv[2], err.msg);
    } else {
        for (int i = 0; i < answer.diagnoses && i < 5; i++) {
            char sentence[1024];
            ecg_answer_sentence(sentence, sizeof sentence, &answer, i);
            puts(sentence);
        }
        puts(ecg_model_synthetic(model) ? ECG_STATEMENT " Trained on a synthetic cohort." : ECG_STATEMENT);
    }
    ecg_answer_clear(&answer);
    ecg_record_clear(&rec);
    ecg_model_close(model);
    return err.status != ECG_OK;
}
