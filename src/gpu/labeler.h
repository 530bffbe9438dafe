/* gpu/labeler.h: labels on OpenCL devices. The ICD loader is opened at run time; a machine without one, or without
 * a driver, simply has no devices.
 *
 * Source: our spec, post.md §8; API level OpenCL 1.2. */
#ifndef SM_GPU_LABELER_H
#define SM_GPU_LABELER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cancel.h"
#include "util/err.h"

typedef enum sm_gpu_type { SM_GPU_TYPE_GPU, SM_GPU_TYPE_CPU, SM_GPU_TYPE_ACCELERATOR } sm_gpu_type;

/* A device as found; plain data. */
struct sm_gpu_device {
    char id[64]; /* stable: "pci-0000:01:00.0" where the driver tells the bus, else "<platform>/<device>#<k>" with
                        * k counting equal names; never a bare position */
    char platform[64];
    char name[64];
    char driver[64];
    sm_gpu_type type;
    uint64_t memory_bytes, max_alloc_bytes;
    bool shares_memory; /* with the host: what it takes is missing there */
    uint32_t compute_units, clock_mhz;
    uint32_t platform_index, device_index; /* in driver order, for display */
    char problem[256];                     /* why it cannot be used; empty when it can */
};

/* The loader and its platforms. `problem` says why there is nothing: no loader, no platform, a platform that failed. */
struct sm_gpu_report {
    bool loader_found;
    uint32_t platforms;
    char problem[512]; /* one sentence per unusable platform; may be non-empty beside usable devices */
};

/* Lists devices into a malloc'd array (*out_n may be 0: not an error). Environment POST_OCL_PLATFORMS_BLACKLIST and
 * POST_OCL_DEVICES_BLACKLIST (POSIX extended regular expressions, unanchored) hide platforms and devices as the
 * reference does; an invalid one is logged and ignored. Serialised internally; any thread. */
SM_MUST_CHECK sm_err sm_gpu_list(struct sm_gpu_device **out, size_t *out_n, struct sm_gpu_report *out_report,
                                 struct sm_errinfo *ei);

/* A label producer on one device. */
struct sm_gpu_labeler;
typedef enum sm_gpu_layout {
    SM_GPU_LAYOUT_DEFAULT,
    SM_GPU_LAYOUT_ROWS,   /* row-major, the work items side by side: GPUs */
    SM_GPU_LAYOUT_TABLES, /* one contiguous table per work item: CPUs */
} sm_gpu_layout;

/* How to run; 0 means "suits the device" everywhere but in scrypt_n. What is set and impossible is refused, never
 * silently changed; only memory adapts, downwards. */
struct sm_gpu_labeler_cfg {
    uint32_t scrypt_n;         /* power of two, SM_SCRYPT_N_MIN … SM_SCRYPT_N_MAX */
    uint64_t memory_cap_bytes; /* limit of all buffers together */
    uint64_t max_alloc_bytes;  /* limit of one buffer, below the device's own */
    uint32_t lookup_gap;       /* 1 … 8: every gap-th row is stored */
    uint32_t wg_items;         /* work items per group */
    uint32_t width;            /* labels in flight; rounded up to whole groups, lowered when memory is short */
    uint32_t launch_ms;        /* longest single launch to aim for; default 100 */
    sm_gpu_layout layout;
};

/* Compiles the kernel, allocates, and proves the device on labels that the CPU computes too before it is returned.
 * SM_E_NOTFOUND (no such id), SM_E_ARG (cfg out of range, or beyond what the device can), SM_E_NOMEM, SM_E_DEVICE
 * (anything the driver refused, or a wrong answer: the text names index, expected and actual label). */
SM_MUST_CHECK sm_err sm_gpu_labeler_new(const char *device_id, const struct sm_gpu_labeler_cfg *cfg,
                                        struct sm_gpu_labeler **out, struct sm_errinfo *ei);
void sm_gpu_labeler_free(struct sm_gpu_labeler *g);
uint32_t sm_gpu_labeler_width(const struct sm_gpu_labeler *g); /* labels in flight */
double sm_gpu_labeler_rate(const struct sm_gpu_labeler *g);    /* labels per second, seen while it was tested */
/* "kernel=romix gap=2 wg=64 layout=rows parts=1 width=4096" */
const char *sm_gpu_labeler_describe(const struct sm_gpu_labeler *g);

/* 32 bytes per label for first … first + count - 1; any count >= 1; the last index must not wrap. SM_E_ARG, SM_E_DEVICE
 * (the labeler is then of no further use), SM_E_CANCELLED (noticed between launches); `out` is garbage then, and nothing
 * writes to it after the return. Sleeps for most of each launch and waits for its event. One call at a time per
 * labeler; different labelers run in parallel. */
SM_MUST_CHECK sm_err sm_gpu_labeler_run(struct sm_gpu_labeler *g, const uint8_t commitment[32], uint64_t first,
                                        size_t count, const struct sm_cancel *cancel, uint8_t *out,
                                        struct sm_errinfo *ei);

#endif
