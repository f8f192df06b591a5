/* SPDX-License-Identifier: MIT */
#include "ecgraft.h"

const char *ecg_version(void)
{
    return ECG_VERSION " (" ECG_COMMIT ", " ECG_BUILD ")";
}
