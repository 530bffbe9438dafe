/* gpu/scanner.h: the label scan of the prover on OpenCL devices: the hits of sm_scan_run, in its order.
 *
 * Nothing that a device says is believed: every hit is confirmed on the processor, and in each launch some labels, at a
 * place that changes, are judged by an easier difficulty and compared with the processor's own scan, so that a device
 * that misses hits shows too.
 *
 * A scanner has lanes, each with its own queue and buffers: one thread per lane, and the transfers of one overlap with
 * the work of the others. Waiting is sleeping: a lane costs the processor little. Source: post.md §5.2-5.3, §5.6; API
 * level OpenCL 1.2. */
#ifndef SM_GPU_SCANNER_H
#define SM_GPU_SCANNER_H

#include "crypto/aes.h"
#include "gpu/labeler.h"

#define SM_GPU_SCAN_LANES 3u /* one receives labels, one scans, one has its hits confirmed */

typedef enum sm_gpu_scan_kind {
    SM_GPU_SCAN_DEFAULT,
    SM_GPU_SCAN_TABLES, /* AES tables in local memory, an item per label */
    SM_GPU_SCAN_BITS,   /* AES as a circuit, an item per 32 labels */
} sm_gpu_scan_kind;

/* 0 means "suits the device". */
struct sm_gpu_scanner_cfg {
    sm_gpu_scan_kind kind;
    uint32_t tables;     /* 1 or 4 of 256 words; see kernels/device/aes128.h */
    uint32_t copies;     /* of each table entry: 1, 2, 4 … 32 */
    uint32_t wg_items;   /* work items per group */
    uint32_t answer_ms;  /* a device that has not finished a launch after so long hangs; default 60000 */
    uint32_t labels_max; /* of one call; default 2^19, processors 2^14; at most 2^20 */
};

struct sm_gpu_scanner;

/* Compiles, allocates, and proves every lane against the processor's scan before it is returned. SM_E_NOTFOUND (no such
 * id), SM_E_ARG (beyond what the device can), SM_E_NOMEM, SM_E_DEVICE (anything the driver refused, or a wrong hit). */
SM_MUST_CHECK sm_err sm_gpu_scanner_new(const char *device_id, const struct sm_gpu_scanner_cfg *cfg,
                                        struct sm_gpu_scanner **out, struct sm_errinfo *ei);
/* Accepts NULL; no call may be running. A scanner that hangs is kept to the end of the process instead: its driver may
 * still read and write what it was given, so that the labels of its calls must be kept too. */
void sm_gpu_scanner_free(struct sm_gpu_scanner *g);
bool sm_gpu_scanner_hangs(const struct sm_gpu_scanner *g);

/* Memory of the host that the device reads at the full speed of the bus: pinned by the driver, 4096-aligned, also fit for
 * direct I/O. Once per scanner; it lives as long as that, whatever the device does. SM_E_DEVICE: the driver has none; any
 * other memory will do, more slowly. */
SM_MUST_CHECK sm_err sm_gpu_scanner_pin(struct sm_gpu_scanner *g, size_t bytes, uint8_t **out, struct sm_errinfo *ei);

/* Takes over what is scanned for; `job` is borrowed until the next call or the free. No scan may be running.
 * SM_E_DEVICE: the scanner is of no further use. */
SM_MUST_CHECK sm_err sm_gpu_scanner_set_job(struct sm_gpu_scanner *g, const struct sm_scan_job *job,
                                            struct sm_errinfo *ei);

/* As sm_scan_run, for at most sm_gpu_scanner_labels_max labels, with the hits of the job set before. *out_done: labels
 * whose hits were all emitted; labels_n unless emit stopped the scan or it failed. SM_E_DEVICE: the scanner is of no
 * further use, labels from *out_done on are to be scanned otherwise. One call at a time per lane; lanes are
 * independent. */
SM_MUST_CHECK sm_err sm_gpu_scanner_run(struct sm_gpu_scanner *g, unsigned lane, const uint8_t *labels, size_t labels_n,
                                        sm_scan_emit emit, void *ctx, size_t *out_done, struct sm_errinfo *ei);

/* Only the transfer of sm_gpu_scanner_run: what the bus allows. */
SM_MUST_CHECK sm_err sm_gpu_scanner_upload(struct sm_gpu_scanner *g, unsigned lane, const uint8_t *labels,
                                           size_t labels_n, struct sm_errinfo *ei);

size_t sm_gpu_scanner_labels_max(const struct sm_gpu_scanner *g);
const char *sm_gpu_scanner_describe(const struct sm_gpu_scanner *g); /* "kernel=scan tables=1 copies=32 wg=256" */

#endif
