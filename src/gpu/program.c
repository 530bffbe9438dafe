#include "gpu/program.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3.h"
#include "util/bytes.h"
#include "util/cachedir.h"
#include "util/io.h"
#include "util/log.h"
#include "util/text.h"

#define CACHE_MAGIC     "smclbin1"
#define CACHE_HEAD      (8u + SM_BLAKE3_BYTES) /* magic, hash of the binary */
#define BINARY_MAX      (64u << 20)
#define LOG_SHOWN_BYTES 360u /* of the compiler's log; an errinfo holds 512 */

/* ---- the cache file ---- */

static void hash_text(struct sm_blake3 *h, const char *s)
{
    sm_blake3_update(h, s, strlen(s) + 1); /* with the terminator: no two lists of texts collide */
}

static sm_err cache_path(const struct sm_gpu_found *dev, const char *source, const char *options, char *out,
                         size_t room, struct sm_errinfo *ei)
{
    struct sm_blake3 h;
    uint8_t key[SM_BLAKE3_BYTES];
    char hex[SM_HEX_ROOM(16)], name[64];
    sm_blake3_init(&h);
    hash_text(&h, source);
    hash_text(&h, options);
    hash_text(&h, dev->info.platform);
    hash_text(&h, dev->info.name);
    hash_text(&h, dev->info.driver);
    sm_blake3_final(&h, key);
    (void)snprintf(name, sizeof name, "opencl/%s.bin", sm_hex_encode(key, 16, hex));
    return sm_cache_path(out, room, name, ei);
}

/* The binary inside a cache file's bytes, or an empty slice. */
static struct sm_slice cache_payload(const uint8_t *file, size_t n)
{
    uint8_t hash[SM_BLAKE3_BYTES];
    if (n <= CACHE_HEAD || memcmp(file, CACHE_MAGIC, 8) != 0) return (struct sm_slice){0};
    sm_blake3_hash(file + CACHE_HEAD, n - CACHE_HEAD, hash);
    if (memcmp(hash, file + 8, sizeof hash) != 0) return (struct sm_slice){0};
    return (struct sm_slice){file + CACHE_HEAD, n - CACHE_HEAD};
}

static cl_program from_binary(const struct sm_cl *cl, cl_context context, cl_device_id dev, struct sm_slice bin,
                              const char *options)
{
    cl_int status = CL_SUCCESS, rc = CL_SUCCESS;
    const unsigned char *p = bin.p;
    cl_program prog = cl->CreateProgramWithBinary(context, 1, &dev, &bin.n, &p, &status, &rc);
    if (!prog) return NULL;
    if (rc == CL_SUCCESS && status == CL_SUCCESS) rc = cl->BuildProgram(prog, 1, &dev, options, NULL, NULL);
    if (rc == CL_SUCCESS && status == CL_SUCCESS) return prog;
    (void)cl->ReleaseProgram(prog);
    return NULL;
}

/* NULL: not cached, damaged, or refused by the driver. */
static cl_program cache_load(const struct sm_cl *cl, cl_context context, cl_device_id dev, const char *path,
                             const char *options)
{
    char *file = NULL;
    size_t n = 0;
    if (sm_io_read_file(path, BINARY_MAX, &file, &n, NULL)) return NULL;
    cl_program prog = NULL;
    const struct sm_slice bin = cache_payload((const uint8_t *)file, n);
    if (bin.n) prog = from_binary(cl, context, dev, bin, options);
    if (!prog) sm_log(SM_LOG_DEBUG, "gpu", "cached kernel unusable, compiling again", "file=%s", path);
    free(file);
    return prog;
}

/* A cache that cannot be written costs time at the next start and nothing else. */
static void cache_save(const struct sm_cl *cl, cl_program prog, const char *path)
{
    size_t n = 0;
    if (cl->GetProgramInfo(prog, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL) != CL_SUCCESS || n == 0 || n > BINARY_MAX)
        return;
    uint8_t *file = calloc(1, CACHE_HEAD + n);
    if (!file) return;
    unsigned char *bin = file + CACHE_HEAD;
    struct sm_errinfo why = {0};
    if (cl->GetProgramInfo(prog, CL_PROGRAM_BINARIES, sizeof(unsigned char *), &bin, NULL) == CL_SUCCESS) {
        memcpy(file, CACHE_MAGIC, 8);
        sm_blake3_hash(bin, n, file + 8);
        if (sm_io_write_atomic(path, file, CACHE_HEAD + n, 0600, &why))
            sm_log(SM_LOG_DEBUG, "gpu", "compiled kernel not cached", "error=\"%s\"", why.text);
    }
    free(file);
}

/* ---- compiling ---- */

static sm_err fail_with_log(const struct sm_cl *cl, cl_program prog, const struct sm_gpu_found *dev, cl_int rc,
                            struct sm_errinfo *ei)
{
    sm_err err = sm_cl_fail(ei, rc, "compiling the kernel for %s", dev->info.name);
    size_t n = 0;
    if (cl->GetProgramBuildInfo(prog, dev->handle, CL_PROGRAM_BUILD_LOG, 0, NULL, &n) != CL_SUCCESS || n < 2)
        return err;
    if (n > BINARY_MAX) return err;
    char *log = calloc(1, n + 1);
    if (!log) return err;
    if (cl->GetProgramBuildInfo(prog, dev->handle, CL_PROGRAM_BUILD_LOG, n, log, NULL) == CL_SUCCESS)
        err = sm_fail_add(ei, err, ": %.*s", (int)LOG_SHOWN_BYTES, log);
    free(log);
    return err;
}

static sm_err from_source(const struct sm_cl *cl, cl_context context, const struct sm_gpu_found *dev,
                          const char *source, const char *options, cl_program *out, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    cl_program prog = cl->CreateProgramWithSource(context, 1, &source, NULL, &rc);
    if (!prog || rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clCreateProgramWithSource for %s", dev->info.name);
    rc = cl->BuildProgram(prog, 1, &dev->handle, options, NULL, NULL);
    if (rc != CL_SUCCESS) {
        sm_err err = fail_with_log(cl, prog, dev, rc, ei);
        (void)cl->ReleaseProgram(prog);
        return err;
    }
    *out = prog;
    return SM_OK;
}

sm_err sm_gpu_program_build(const struct sm_cl *cl, cl_context context, const struct sm_gpu_found *dev,
                            const char *source, const char *options, cl_program *out, struct sm_errinfo *ei)
{
    static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* several drivers' compilers are not reentrant */
    char path[4096];
    struct sm_errinfo why = {0};
    const bool cached = cache_path(dev, source, options, path, sizeof path, &why) == SM_OK;
    if (!cached) sm_log(SM_LOG_DEBUG, "gpu", "no cache for compiled kernels", "error=\"%s\"", why.text);

    sm_err err = SM_OK;
    (void)pthread_mutex_lock(&mu);
    cl_program prog = cached ? cache_load(cl, context, dev->handle, path, options) : NULL;
    if (!prog) {
        err = from_source(cl, context, dev, source, options, &prog, ei);
        if (!err && cached) cache_save(cl, prog, path);
    }
    (void)pthread_mutex_unlock(&mu);
    if (!err) *out = prog;
    return err;
}
