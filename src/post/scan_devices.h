/* post/scan_devices.h: the OpenCL devices that somebody named, as an option or in a file, for scanning. */
#ifndef SM_POST_SCAN_DEVICES_H
#define SM_POST_SCAN_DEVICES_H

#include <stddef.h>

#include "util/err.h"

struct sm_scan_devices {
    char **ids; /* as sm_prove_cfg.devices */
    size_t n;
};

/* texts: "cpu" (none), "all" (every usable GPU; OpenCL on the processor only when it is named), an id, or several of these
 * with commas; an id that has commas itself is found. Names nobody knows are taken as they are: opening them will say so.
 * SM_E_NOTFOUND: "all", and there is no usable GPU, with the reason. SM_E_ARG: one is named twice. */
SM_MUST_CHECK sm_err sm_scan_devices_find(const char *const *texts, size_t texts_n, struct sm_scan_devices *out,
                                          struct sm_errinfo *ei);
void sm_scan_devices_free(struct sm_scan_devices *d); /* accepts a zeroed struct */

#endif
