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

/* The description of the usable device with this id. False: there is none; opening it says why. */
bool sm_gpu_describe(const char *id, struct sm_gpu_device *out);

/* A label producer on one device. */
struct sm_gpu_labeler;
typedef enum sm_gpu_layout {
    SM_GPU_LAYOUT_DEFAULT,
    SM_GPU_LAYOUT_ROWS,   /* row-major, the labels side by side: GPUs */
    SM_GPU_LAYOUT_TABLES, /* one contiguous table per label: CPUs */
} sm_gpu_layout;

typedef enum sm_gpu_kernel {
    SM_GPU_KERNEL_DEFAULT,
    SM_GPU_KERNEL_ITEM,  /* a work item computes a whole label, or several in turns */
    SM_GPU_KERNEL_QUAD,  /* four work items per label, one column of ChaCha's matrix each */
    SM_GPU_KERNEL_FETCH, /* as ITEM, but eight items fetch each other's rows, 128 bytes at a time */
} sm_gpu_kernel;
#define SM_GPU_KERNELS_END (SM_GPU_KERNEL_FETCH + 1)
const char *sm_gpu_kernel_name(sm_gpu_kernel k);  /* "item"; static */
sm_gpu_kernel sm_gpu_kernel_of(const char *name); /* SM_GPU_KERNEL_DEFAULT: none has this name */

/* Identifies the source of the kernels, 16 hex digits: a tuning found with another source says nothing. Returns `out`. */
#define SM_GPU_SOURCE_ID_ROOM 17u
const char *sm_gpu_labeler_source_id(char out[SM_GPU_SOURCE_ID_ROOM]);

/* Rates of a part of the work; the labels are wrong then. */
typedef enum sm_gpu_probe {
    SM_GPU_PROBE_NONE,
    SM_GPU_PROBE_ALU,    /* arithmetic, all rows in a cache */
    SM_GPU_PROBE_MEMORY, /* rows stored and fetched, nothing computed */
} sm_gpu_probe;

/* How to run; 0 means "suits the device" everywhere but in scrypt_n. What is set and impossible is refused, never
 * silently changed; only memory adapts, downwards. */
struct sm_gpu_labeler_cfg {
    uint32_t scrypt_n;         /* power of two, SM_SCRYPT_N_MIN … SM_SCRYPT_N_MAX */
    uint64_t memory_cap_bytes; /* limit of all buffers on the device together */
    uint64_t max_alloc_bytes;  /* limit of one buffer, below the device's own */
    sm_gpu_kernel kernel;
    uint32_t lookup_gap; /* 1 … 8: every gap-th row is stored */
    uint32_t wg_items;   /* work items per group */
    uint32_t width;      /* labels in flight; rounded up to whole groups, lowered when memory is short */
    uint32_t interleave; /* labels per work item, 1 … 4; SM_GPU_KERNEL_ITEM only */
    uint32_t unroll;     /* double rounds of ChaCha in the code: 1 or 4 */
    uint32_t launch_ms;  /* longest single launch to aim for; default 100 */
    uint32_t answer_ms;  /* a command not done after this long is taken for a driver that hangs; default 60 000 */
    sm_gpu_layout layout;
    sm_gpu_probe probe;
};

/* Compiles the kernel, allocates, and proves the device on labels that the CPU computes too before it is returned (not
 * with a probe). SM_E_NOTFOUND (no such id), SM_E_ARG (cfg out of range, or beyond what the device can), SM_E_NOMEM,
 * SM_E_DEVICE (anything the driver refused, or a wrong answer: the text names index, expected and actual label). */
SM_MUST_CHECK sm_err sm_gpu_labeler_new(const char *device_id, const struct sm_gpu_labeler_cfg *cfg,
                                        struct sm_gpu_labeler **out, struct sm_errinfo *ei);
void sm_gpu_labeler_free(struct sm_gpu_labeler *g);            /* one whose driver hangs is kept for ever */
uint32_t sm_gpu_labeler_width(const struct sm_gpu_labeler *g); /* labels in flight */
double sm_gpu_labeler_rate(const struct sm_gpu_labeler *g);    /* labels per second, seen while it was tested */
/* What it does with what it was asked for: every member is set that has a meaning. */
struct sm_gpu_labeler_cfg sm_gpu_labeler_cfg_of(const struct sm_gpu_labeler *g);
/* "kernel=item gap=1 wg=64 layout=rows interleave=1 unroll=4 parts=1 width=4096" */
const char *sm_gpu_labeler_describe(const struct sm_gpu_labeler *g);

/* A label below the threshold, all 32 bytes; in no particular order, on the thread that called run. */
typedef void (*sm_gpu_hit)(void *ctx, uint64_t index, const uint8_t label[32]);

struct sm_gpu_label_job {
    const uint8_t *commitment; /* 32 bytes, borrowed during the run */
    uint64_t first;
    size_t count;             /* >= 1; the last index must not wrap */
    const uint8_t *threshold; /* 32 bytes, borrowed; NULL: no hits. Labels strictly below it are hits, however many */
    sm_gpu_hit hit;
    void *ctx;
};

/* The first 16 bytes of each label to `out`. SM_E_ARG, SM_E_DEVICE (the labeler is then of no further use; a driver that
 * hangs is given up), SM_E_CANCELLED (noticed between launches); `out` is garbage then. The device itself never writes
 * to it. Two batches are under way at any time, so that the device computes while the results of the one before travel.
 * Sleeps until they are there. One call at a time per labeler; different labelers run in parallel. */
SM_MUST_CHECK sm_err sm_gpu_labeler_run(struct sm_gpu_labeler *g, const struct sm_gpu_label_job *job,
                                        const struct sm_cancel *cancel, uint8_t *out, struct sm_errinfo *ei);

#endif
