/* cli/groups.h: options that several commands share, and what they stand for.
 *
 *   struct args { struct sm_net_args net; struct sm_engine_args engine; };
 *   static const struct sm_option options[] = {
 *       SM_NET_OPTIONS(struct args, net), SM_ENGINE_OPTIONS(struct args, engine), SM_OPT_END};
 */
#ifndef SM_CLI_GROUPS_H
#define SM_CLI_GROUPS_H

#include "cli/cli.h"
#include "crypto/randomx.h"
#include "post/label.h"
#include "post/params.h"

/* ---- network parameters ---- */
struct sm_net_args {
    const char *network;
    struct sm_text_list param;
};
#define SM_NET_OPTIONS(T, m)                                                                       \
    SM_OPT_TEXT(T, m.network, "network", "mainnet", "NAME|FILE",                                   \
                "network parameters: mainnet, testnet, standalone, fastnet, tiny, or a YAML file", \
                .env = "SM_NETWORK"),                                                              \
        SM_OPT_LIST(T, m.param, "param", NULL, "KEY=VALUE",                                        \
                    "replace one network parameter, for example k1=12; see config dump; may be repeated")
/* Preset or file, then SM_POST_… variables, then --param. Checked. */
SM_MUST_CHECK sm_err sm_net_params(const struct sm_net_args *args, struct sm_post_params *out, struct sm_errinfo *ei);

/* ---- OpenCL devices ---- */
struct sm_gpu_args {
    uint64_t memory;
    uint32_t launch_ms;
    const char *tuning;
};
#define SM_GPU_OPTIONS(T, m)                                                                                           \
    SM_OPT_SIZE(T, m.memory, "gpu-memory", "0", 0, UINT64_C(1) << 50,                                                  \
                "memory that an OpenCL device may use; 0 = seven eighths of a card's, a quarter of the machine's"),    \
        SM_OPT_U32(T, m.launch_ms, "launch-ms", "100", 1, 10000, "MS",                                                 \
                   "aim for device launches this long: longer ones make displays stutter, or their watchdog end all"), \
        SM_OPT_TEXT(T, m.tuning, "gpu-tuning", NULL, "FILE",                                                           \
                    "rows as in tuning.yaml, that come before those found or shipped", .default_note = "none",         \
                    .env = "SM_GPU_TUNING")
struct sm_label_gpu_opts sm_gpu_opts(const struct sm_gpu_args *args);

/* ---- label engines ---- */
struct sm_engine_args {
    struct sm_gpu_args gpu;
    struct sm_text_list device;
    uint32_t threads;
    const char *variant;
    uint64_t labels; /* to be computed, set by the command; many of them are worth tuning the engines first */
    const struct sm_cancel *cancel; /* of the tuning, set by the command; may be NULL */
};
#define SM_ENGINE_OPTIONS(T, m)                                                                                      \
    SM_OPT_LIST(T, m.device, "device", NULL, "ID",                                                                   \
                "compute on: cpu, an OpenCL device id (see devices), auto (every usable GPU, the CPU when there is " \
                "none), all (every usable GPU and the CPU), or several of these with commas; may be repeated",       \
                .default_note = "auto"),                                                                             \
        SM_OPT_U32(T, m.threads, "threads", "0", 0, 1024, "N", "CPU threads; 0 = one per processor"),                \
        SM_OPT_TEXT(T, m.variant, "variant", NULL, "NAME",                                                           \
                    "CPU variant of the label hash: ref, ssse3, avx2, avx512, neon", .default_note = "the fastest",  \
                    .env = "SM_CPU_ISA"),                                                                            \
        SM_GPU_OPTIONS(T, m.gpu)
/* One engine per CPU thread and per device, in a malloc'd array. Who takes the engines over (sm_init_run and its like)
 * leaves the array to the caller: free() it then, or release both with sm_engines_free. SM_E_ARG names the devices that
 * exist. */
SM_MUST_CHECK sm_err sm_engines_make(const struct sm_engine_args *args, uint32_t scrypt_n, struct sm_label_engine **out,
                                     size_t *out_n, struct sm_errinfo *ei);
void sm_engines_free(struct sm_label_engine *engines, size_t n);
/* "PERCENT" sets the duty of all, "ID=PERCENT" that of one device; the last that fits counts. SM_E_ARG. */
SM_MUST_CHECK sm_err sm_engines_throttle(struct sm_label_engine *engines, size_t n, const struct sm_text_list *list,
                                         struct sm_errinfo *ei);

/* ---- RandomX ---- */
struct sm_randomx_args {
    uint32_t mode; /* sm_randomx_mode */
    bool large_pages, no_huge_pages;
    const char *dataset_file;
};
extern const char *const sm_randomx_modes[]; /* "light", "fast": positions are sm_randomx_mode */
#define SM_RANDOMX_OPTIONS(T, m, def, note)                                                                     \
    SM_OPT_CHOICE(T, m.mode, "randomx", def, sm_randomx_modes,                                                  \
                  "RandomX mode: fast needs 2080 MiB of memory, light 256 MiB and about ten times the time",    \
                  .default_note = (note)),                                                                      \
        SM_OPT_FLAG(T, m.large_pages, "large-pages",                                                            \
                    "back RandomX by explicit huge pages (vm.nr_hugepages); transparent ones are used anyway"), \
        SM_OPT_FLAG(T, m.no_huge_pages, "no-huge-pages", "back RandomX by ordinary pages"),                     \
        SM_OPT_TEXT(T, m.dataset_file, "dataset-file", NULL, "FILE",                                            \
                    "keep the RandomX dataset (2080 MiB) in this file; a later run reads it instead of computing it")
/* Without key and threads, which the caller knows. */
struct sm_randomx_cfg sm_randomx_cfg_of(const struct sm_randomx_args *args);

/* ---- processors ---- */
/* "0,2,4" of --cores into a malloc'd list without repetitions. SM_E_ARG. */
SM_MUST_CHECK sm_err sm_cores_parse(const char *text, unsigned **out, unsigned *out_n, struct sm_errinfo *ei);

#endif
