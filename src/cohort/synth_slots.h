/* SPDX-License-Identifier: MIT
 * synth_slots.h: the address of every random number of the generator.
 *
 * Philox4x32-10, key = seed, counter = (block, stream, visit, patient). A named variable owns one block of its stream, its slot: words 0
 * and 1 make one normal (the cosine branch), word 2 a uniform, word 3 a second uniform. Names are appended, never moved: a slot that
 * moved would change every cohort. Patient streams use visit 0. Streams 22 to 32 (beats, atrial waves, electrodes) draw in order. */
#ifndef ECG_COHORT_SYNTH_SLOTS_H
#define ECG_COHORT_SYNTH_SLOTS_H

enum {
    ECG_S_DEMO = 1,
    ECG_S_CHRON = 2,
    ECG_S_DRUG = 3,
    ECG_S_TRAIT = 4,   /* personal ECG traits */
    ECG_S_BODY = 5,    /* other personal traits */
    ECG_S_CAL = 6,     /* calendar of the patient (visit 0) and of a visit */
    ECG_S_ACUTE = 16,
    ECG_S_PHYS = 17,
    ECG_S_LAB = 18,    /* analytic noise: slot = row of the test table */
    ECG_S_ORDER = 19,
    ECG_S_VITAL = 20,
    ECG_S_TAKE = 21,  /* ECG parameters of one recording */
    ECG_S_BEAT = 22,   /* drawn in order */
    ECG_S_AF = 23,     /* drawn in order */
    ECG_S_NOISE = 24,  /* ..32: RA LA LL V1..V6, drawn in order */
    ECG_S_CODE = 40,   /* slot = row of the code table: word 2 missed or not, word 3 false or not */
    ECG_S_MISS = 41,
    ECG_S_LEADOFF = 42,
    ECG_S_EXTRA = 43,  /* distractors */
    ECG_S_WORDS = 44   /* chief complaint, pain, transport, names */
};

#define ECG_SLOTS_DEMO(X) X(male) X(age) X(height) X(bmi) X(u) X(w) X(race) X(language) X(marital) X(insurance)

#define ECG_SLOTS_CHRON(X)                                                                                                        \
    X(smoke) X(alc) X(htn) X(dm) X(hld) X(esrd) X(egfr) X(egfr_dm) X(egfr_htn) X(cad) X(omi) X(omit) X(asten) X(hf) X(hfr)      \
    X(hfs) X(lvm) X(lvm_htn) X(af) X(afp) X(copd) X(copds) X(osa) X(hypot) X(hypert) X(cirr) X(dep) X(dem) X(canc) X(lbbb)      \
    X(rbbb) X(lafb) X(pacer) X(pht)

#define ECG_SLOTS_DRUG(X) X(bb) X(loop) X(thz) X(acei) X(mra) X(dig) X(qtd) X(antico)

#define ECG_SLOTS_TRAIT(X)                                                                                                        \
    X(PR) X(avb) X(QRS) X(QTc) X(g) X(pax) X(PSD) X(volt) X(ax) X(ro) X(omi) X(ta) X(Tx) X(Ty) X(Tz) X(tw) X(pvc) X(pvc_angle) X(slur_x) \
    X(slur_y) X(slur_z)

#define ECG_SLOTS_BODY(X) X(hr) X(sbp)

#define ECG_SLOTS_CAL(X)                                                                                                          \
    X(visits) X(anchor_year) X(year_group) X(first_day) X(gap) X(hour) X(minute) X(second) X(ecg) X(labs) X(labs_late) \
    X(stay) X(admit) X(los) X(store) X(death) X(death_day) X(omr) X(vitals_n) X(cart)

#define ECG_SLOTS_ACUTE(X)                                                                                                        \
    X(stemi) X(terr) X(nstemi) X(mis) X(adhf_hf) X(adhf_new) X(adhfs) X(pna) X(uti) X(oinf) X(infs) X(copdx) X(pe) X(pes) X(gib) \
    X(gibs) X(dka) X(dkas) X(vom) X(voms) X(missed) X(withd) X(stroke) X(ttox) X(sync) X(trauma) X(anx) X(odx) X(aki) X(akis)

#define ECG_SLOTS_PHYS(X)                                                                                                         \
    X(temp) X(temp_blunt) X(lac) X(ret) X(hco3) X(pco2) X(ph) X(K) X(K_missed) X(Na) X(Na_thz) X(Na_dem) X(Mg) X(alb) X(iCa)     \
    X(iCa_canc) X(iCa_canc_size) X(iCa_pth) X(Ca) X(phos) X(urea) X(crea) X(gluc) X(gluc_dm) X(hb) X(wbc) X(plt) X(trop) X(bnp)  \
    X(crp) X(tsh) X(tsh_hypot) X(t4) X(alt) X(bili) X(inr) X(inr_antico) X(ckmb) X(ddim) X(spo2) X(resp) X(em) X(af_now) X(af_acute) \
    X(paced) X(hr_af) X(hr_paced) X(sbp) X(dbp)

/* order draws that are no row of the test table: reasons and shared draws */
#define ECG_SLOTS_ORDER(X) X(base) X(chest_anx) X(chest) X(gas) X(liver) X(gas_calcium)

#define ECG_SLOTS_VITAL(X) X(temp) X(hr) X(resp) X(spo2) X(sbp) X(dbp) X(acuity) X(pain)

#define ECG_SLOTS_TAKE(X)                                                                                                          \
    X(RSA) X(lae) X(STx) X(STy) X(STz) X(U) X(pvc) X(pac) X(fwave) X(spike) X(BW) X(EMG) X(mains) X(ax) X(ro) X(volt) X(T) X(Tx) \
    X(Ty) X(Tz) X(nSTx) X(nSTy) X(nSTz) X(QTc) X(breath)                                                                         \
    X(m_p_end) X(m_qrs_on) X(m_qrs_end) X(m_t_end) X(m_p_axis) X(m_qrs_axis) X(m_t_axis)

#define ECG_SLOTS_LEADOFF(X) X(lead) X(flat)

#define ECG_SLOTS_EXTRA(X)                                                                                                        \
    X(stay) X(stay_day) X(outside) X(outside_day) X(second) X(urine) X(urine_value) X(ascites) X(ascites_value) X(urine_ph)      \
    X(urine_ph_value) X(hemolyzed) X(repeat) X(repeat_value) X(icd9) X(omr_bp) X(omr_egfr)

#define ECG_SLOTS_WORDS(X) X(complaint) X(transport) X(disposition) X(provider) X(admission)

#define ECG_SLOTS_MISS(X) X(biometrics) X(temp) X(hr) X(resp) X(spo2) X(sbp) X(dbp)

#define X(name) DEMO_##name,
enum { ECG_SLOTS_DEMO(X) };
#undef X
#define X(name) CHRON_##name,
enum { ECG_SLOTS_CHRON(X) };
#undef X
#define X(name) DRUG_##name,
enum { ECG_SLOTS_DRUG(X) };
#undef X
#define X(name) TRAIT_##name,
enum { ECG_SLOTS_TRAIT(X) };
#undef X
#define X(name) BODY_##name,
enum { ECG_SLOTS_BODY(X) };
#undef X
#define X(name) CAL_##name,
enum { ECG_SLOTS_CAL(X) };
#undef X
#define X(name) ACUTE_##name,
enum { ECG_SLOTS_ACUTE(X) };
#undef X
#define X(name) PHYS_##name,
enum { ECG_SLOTS_PHYS(X) };
#undef X
#define X(name) ORDER_##name,
enum { ECG_ORDER_FIRST = 63, ECG_SLOTS_ORDER(X) }; /* 64 and up: below lie the rows of the test table */
#undef X
#define X(name) VITAL_##name,
enum { ECG_SLOTS_VITAL(X) VITAL_SLOTS }; /* + VITAL_SLOTS times the row: triage 0, then the vitalsign rows */
#undef X
#define X(name) TAKE_##name,
enum { ECG_SLOTS_TAKE(X) };
#undef X
#define X(name) LEADOFF_##name,
enum { ECG_SLOTS_LEADOFF(X) };
#undef X
#define X(name) EXTRA_##name,
enum { ECG_SLOTS_EXTRA(X) };
#undef X
#define X(name) WORDS_##name,
enum { ECG_SLOTS_WORDS(X) };
#undef X
#define X(name) MISS_##name,
enum { ECG_SLOTS_MISS(X) MISS_SLOTS }; /* + MISS_SLOTS times the row, as VITAL */
#undef X

/* Further slots of streams that repeat: + row of the vital signs, + tube, + biometric. */
enum { CAL_ROWS = 64, CAL_OMR = 96, EXTRA_ROWS = 64, WORDS_ROWS = 64, TAKE_ROWS = 64, ECG_LAB_TUBES = 128 };

#endif
