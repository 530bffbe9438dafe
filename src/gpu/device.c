#include "gpu/device.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

/* Ours: a driver that reports more is broken, and nothing is lost by ignoring the rest. */
#define PLATFORMS_MAX      32u
#define DEVICES_MAX        64u
#define INFO_TEXT_MAX      65536u
#define WORKABLE_MEM_BYTES (16u << 20)

/* cl_nv_device_attribute_query; not in Khronos' headers. */
#define DEVICE_PCI_BUS_ID_NV    0x4008
#define DEVICE_PCI_SLOT_ID_NV   0x4009
#define DEVICE_PCI_DOMAIN_ID_NV 0x400A

struct list {
    struct sm_gpu_found *v;
    size_t n, room;
};

/* A POSIX regular expression from the environment. */
struct filter {
    regex_t re;
    bool on;
};

struct scan {
    const struct sm_cl *cl;
    struct filter hide_platforms, hide_devices;
    struct list list;
    struct sm_gpu_report report;
};

/* Adds a sentence to the report. */
static void report_problem(struct sm_gpu_report *r, const char *fmt, ...) SM_PRINTF(2, 3);
static void report_problem(struct sm_gpu_report *r, const char *fmt, ...)
{
    size_t at = strlen(r->problem);
    if (at && at + 2 < sizeof r->problem) {
        memcpy(r->problem + at, "; ", 3);
        at += 2;
    }
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(r->problem + at, sizeof r->problem - at, fmt, ap);
    va_end(ap);
}

/* ---- blacklists ---- */

static void filter_open(struct filter *f, const char *variable)
{
    const char *text = getenv(variable);
    if (!text || !*text) return;
    const int rc = regcomp(&f->re, text, REG_EXTENDED | REG_NOSUB);
    f->on = rc == 0;
    if (f->on) return;
    char why[128];
    (void)regerror(rc, &f->re, why, sizeof why);
    sm_log(SM_LOG_WARN, "gpu", "blacklist ignored", "variable=%s expression=\"%s\" error=\"%s\"", variable, text, why);
}

static bool filter_hits(const struct filter *f, const char *name)
{
    return f->on && regexec(&f->re, name, 0, NULL, 0) == 0;
}

static void filter_close(struct filter *f)
{
    if (f->on) regfree(&f->re);
    f->on = false;
}

/* ---- questions to the driver: a refusal reads as empty, zero or false ---- */

/* Trims, and replaces what would disturb a table or a log line. */
static void tidy(char *s)
{
    size_t n = strlen(s), lead = 0;
    while (n && isspace((unsigned char)s[n - 1])) s[--n] = '\0';
    while (isspace((unsigned char)s[lead])) lead++;
    memmove(s, s + lead, n - lead + 1);
    for (; *s; s++)
        if (!isprint((unsigned char)*s)) *s = '?';
}

/* Platform when `dev` is NULL. malloc'd text, or NULL. */
static char *info_text(const struct sm_cl *cl, cl_platform_id platform, cl_device_id dev, cl_uint what)
{
    size_t n = 0;
    const cl_int rc =
        dev ? cl->GetDeviceInfo(dev, what, 0, NULL, &n) : cl->GetPlatformInfo(platform, what, 0, NULL, &n);
    if (rc != CL_SUCCESS || n == 0 || n > INFO_TEXT_MAX) return NULL;
    char *s = calloc(1, n + 1);
    if (!s) return NULL;
    const cl_int rc2 = dev ? cl->GetDeviceInfo(dev, what, n, s, NULL) : cl->GetPlatformInfo(platform, what, n, s, NULL);
    if (rc2 != CL_SUCCESS) {
        free(s);
        return NULL;
    }
    tidy(s);
    return s;
}

/* Cut to `room`; false when the driver gave nothing. */
static bool info_name(const struct sm_cl *cl, cl_platform_id platform, cl_device_id dev, cl_uint what, char *out,
                      size_t room)
{
    char *s = info_text(cl, platform, dev, what);
    (void)snprintf(out, room, "%s", s ? s : "");
    free(s);
    return *out != '\0';
}

static uint64_t info_u64(const struct sm_cl *cl, cl_device_id dev, cl_device_info what)
{
    cl_ulong v = 0;
    return cl->GetDeviceInfo(dev, what, sizeof v, &v, NULL) == CL_SUCCESS ? v : 0;
}

uint32_t sm_gpu_info_u32(const struct sm_cl *cl, cl_device_id dev, cl_device_info what)
{
    cl_uint v = 0;
    return cl->GetDeviceInfo(dev, what, sizeof v, &v, NULL) == CL_SUCCESS ? v : 0;
}

static bool has_word(const char *words, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = words; p && (p = strstr(p, word)); p += n)
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0')) return true;
    return false;
}

bool sm_gpu_has_extension(const struct sm_cl *cl, cl_device_id dev, const char *name)
{
    char *all = info_text(cl, NULL, dev, CL_DEVICE_EXTENSIONS);
    const bool yes = has_word(all, name);
    free(all);
    return yes;
}

/* ---- identity ---- */

static bool pci_khr(const struct sm_cl *cl, cl_device_id dev, cl_device_pci_bus_info_khr *out)
{
    return sm_gpu_has_extension(cl, dev, "cl_khr_pci_bus_info") &&
           cl->GetDeviceInfo(dev, CL_DEVICE_PCI_BUS_INFO_KHR, sizeof *out, out, NULL) == CL_SUCCESS;
}

static bool pci_nv(const struct sm_cl *cl, cl_device_id dev, cl_device_pci_bus_info_khr *out)
{
    cl_uint bus = 0, slot = 0;
    if (!sm_gpu_has_extension(cl, dev, "cl_nv_device_attribute_query") ||
        cl->GetDeviceInfo(dev, DEVICE_PCI_BUS_ID_NV, sizeof bus, &bus, NULL) != CL_SUCCESS ||
        cl->GetDeviceInfo(dev, DEVICE_PCI_SLOT_ID_NV, sizeof slot, &slot, NULL) != CL_SUCCESS)
        return false;
    /* The slot holds device and function as in configuration space; old drivers do not know the domain. */
    *out = (cl_device_pci_bus_info_khr){.pci_domain = sm_gpu_info_u32(cl, dev, DEVICE_PCI_DOMAIN_ID_NV),
                                        .pci_bus = bus,
                                        .pci_device = slot >> 3,
                                        .pci_function = slot & 7};
    return true;
}

static bool pci_amd(const struct sm_cl *cl, cl_device_id dev, cl_device_pci_bus_info_khr *out)
{
    cl_device_topology_amd t = {0};
    if (!sm_gpu_has_extension(cl, dev, "cl_amd_device_attribute_query") ||
        cl->GetDeviceInfo(dev, CL_DEVICE_TOPOLOGY_AMD, sizeof t, &t, NULL) != CL_SUCCESS ||
        t.raw.type != CL_DEVICE_TOPOLOGY_TYPE_PCIE_AMD)
        return false;
    *out = (cl_device_pci_bus_info_khr){
        .pci_bus = (uint8_t)t.pcie.bus, .pci_device = (uint8_t)t.pcie.device, .pci_function = (uint8_t)t.pcie.function};
    return true;
}

static bool id_taken(const struct list *l, const char *id)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].info.id, id) == 0) return true;
    return false;
}

/* `text` + "#k" with the lowest free k; the text is cut to make room. */
static void id_counted(const struct list *l, const char *text, char out[64])
{
    char suffix[16];
    for (unsigned k = 0;; k++) {
        (void)snprintf(suffix, sizeof suffix, "#%u", k);
        (void)snprintf(out, 64, "%.*s%s", (int)(63 - strlen(suffix)), text, suffix);
        if (!id_taken(l, out)) return;
    }
}

static void give_id(const struct scan *s, cl_device_id dev, struct sm_gpu_device *d)
{
    char text[160];
    cl_device_pci_bus_info_khr pci = {0};
    if (!pci_khr(s->cl, dev, &pci) && !pci_nv(s->cl, dev, &pci) && !pci_amd(s->cl, dev, &pci)) {
        (void)snprintf(text, sizeof text, "%s/%s", d->platform, d->name);
        id_counted(&s->list, text, d->id);
        return;
    }
    (void)snprintf(d->id, sizeof d->id, "pci-%04x:%02x:%02x.%x", pci.pci_domain & 0xffff, pci.pci_bus & 0xff,
                   pci.pci_device & 0x1f, pci.pci_function & 7);
    if (!id_taken(&s->list, d->id)) return;
    /* A second driver for the same card, or a card that shows itself in parts. */
    (void)snprintf(text, sizeof text, "%s/%s", d->id, d->platform);
    id_counted(&s->list, text, d->id);
}

/* ---- fitness ---- */

static void judge(const struct sm_cl *cl, cl_device_id dev, struct sm_gpu_device *d)
{
    char version[128];
    unsigned major = 0, minor = 0;
    cl_bool available = CL_TRUE, compiler = CL_TRUE, little = CL_TRUE;
    (void)cl->GetDeviceInfo(dev, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
    (void)cl->GetDeviceInfo(dev, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
    (void)cl->GetDeviceInfo(dev, CL_DEVICE_ENDIAN_LITTLE, sizeof little, &little, NULL);
    (void)info_name(cl, NULL, dev, CL_DEVICE_VERSION, version, sizeof version);
    const bool parsed = sscanf(version, "OpenCL %u.%u", &major, &minor) == 2;
    char *why = d->problem;
    const size_t room = sizeof d->problem;
    if (!available)
        (void)snprintf(why, room, "the driver says it is not available");
    else if (!compiler)
        (void)snprintf(why, room, "the driver has no compiler");
    else if (!little)
        (void)snprintf(why, room, "the device is big-endian");
    else if (!parsed || major < 1 || (major == 1 && minor < 2))
        (void)snprintf(why, room, "OpenCL 1.2 is needed, the device has \"%s\"", version);
    else if (d->memory_bytes < WORKABLE_MEM_BYTES || d->max_alloc_bytes == 0)
        (void)snprintf(why, room, "the driver reports %" PRIu64 " bytes of memory", d->memory_bytes);
}

/* False for types that never run kernels. */
static bool type_of(const struct sm_cl *cl, cl_device_id dev, sm_gpu_type *out)
{
    const uint64_t type = info_u64(cl, dev, CL_DEVICE_TYPE);
    if (type & CL_DEVICE_TYPE_GPU)
        *out = SM_GPU_TYPE_GPU;
    else if (type & CL_DEVICE_TYPE_CPU)
        *out = SM_GPU_TYPE_CPU;
    else if (type & CL_DEVICE_TYPE_ACCELERATOR)
        *out = SM_GPU_TYPE_ACCELERATOR;
    else
        return false;
    return true;
}

static void describe(const struct sm_cl *cl, cl_device_id dev, struct sm_gpu_device *d)
{
    (void)info_name(cl, NULL, dev, CL_DRIVER_VERSION, d->driver, sizeof d->driver);
    d->memory_bytes = info_u64(cl, dev, CL_DEVICE_GLOBAL_MEM_SIZE);
    d->max_alloc_bytes = info_u64(cl, dev, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    d->compute_units = sm_gpu_info_u32(cl, dev, CL_DEVICE_MAX_COMPUTE_UNITS);
    d->clock_mhz = sm_gpu_info_u32(cl, dev, CL_DEVICE_MAX_CLOCK_FREQUENCY);
    if (d->compute_units == 0) d->compute_units = 1;
    d->shares_memory = sm_gpu_info_u32(cl, dev, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
}

uint64_t sm_gpu_free_bytes(const struct sm_cl *cl, const struct sm_gpu_found *dev)
{
    size_t kib[2] = {0, 0}; /* total free, largest block */
    if (sm_gpu_has_extension(cl, dev->handle, "cl_amd_device_attribute_query") &&
        cl->GetDeviceInfo(dev->handle, CL_DEVICE_GLOBAL_FREE_MEMORY_AMD, sizeof kib, kib, NULL) == CL_SUCCESS &&
        kib[0] > 0 && (uint64_t)kib[0] * 1024 < dev->info.memory_bytes)
        return (uint64_t)kib[0] * 1024;
    return dev->info.memory_bytes;
}

/* ---- the walk ---- */

static bool list_add(struct list *l, const struct sm_gpu_found *f)
{
    if (l->n == l->room) {
        const size_t room = l->room ? 2 * l->room : 8;
        struct sm_gpu_found *v = realloc(l->v, room * sizeof *v);
        if (!v) return false;
        l->v = v;
        l->room = room;
    }
    l->v[l->n++] = *f;
    return true;
}

static sm_err scan_device(struct scan *s, const char *platform, uint32_t p, uint32_t k, cl_device_id dev)
{
    struct sm_gpu_found f = {.handle = dev, .info = {.platform_index = p, .device_index = k}};
    struct sm_gpu_device *d = &f.info;
    if (!dev || !type_of(s->cl, dev, &d->type)) return SM_OK;
    (void)snprintf(d->platform, sizeof d->platform, "%s", platform);
    if (!info_name(s->cl, NULL, dev, CL_DEVICE_NAME, d->name, sizeof d->name)) {
        report_problem(&s->report, "%s: device %u has no readable name", platform, k);
        return SM_OK;
    }
    describe(s->cl, dev, d);
    judge(s->cl, dev, d);
    give_id(s, dev, d);
    return list_add(&s->list, &f) ? SM_OK : SM_E_NOMEM;
}

static sm_err scan_platform(struct scan *s, uint32_t index, cl_platform_id platform)
{
    char name[64];
    if (!platform || !info_name(s->cl, platform, NULL, CL_PLATFORM_NAME, name, sizeof name)) {
        report_problem(&s->report, "platform %u has no readable name", index);
        return SM_OK;
    }
    if (filter_hits(&s->hide_platforms, name)) return SM_OK; /* not asked further: it may be hidden because it hangs */
    cl_device_id devices[DEVICES_MAX] = {0};
    cl_uint n = 0;
    const cl_int rc = s->cl->GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, DEVICES_MAX, devices, &n);
    if (rc == CL_DEVICE_NOT_FOUND || (rc == CL_SUCCESS && n == 0)) {
        report_problem(&s->report, "%s: no device", name);
        return SM_OK;
    }
    if (rc != CL_SUCCESS) {
        report_problem(&s->report, "%s: %s (%d)", name, sm_cl_error_name(rc), (int)rc);
        return SM_OK;
    }
    sm_err err = SM_OK;
    for (uint32_t k = 0; k < n && k < DEVICES_MAX && !err; k++) err = scan_device(s, name, index, k, devices[k]);
    return err;
}

static sm_err scan_all(struct scan *s)
{
    struct sm_errinfo why = {0};
    if (sm_cl_get(&s->cl, &why)) {
        report_problem(&s->report, "%s", why.text);
        return SM_OK;
    }
    s->report.loader_found = true;
    cl_platform_id platforms[PLATFORMS_MAX] = {0};
    cl_uint n = 0;
    const cl_int rc = s->cl->GetPlatformIDs(PLATFORMS_MAX, platforms, &n);
    if (rc == CL_PLATFORM_NOT_FOUND_KHR || (rc == CL_SUCCESS && n == 0)) {
        report_problem(&s->report, "the OpenCL loader knows no driver: install the one of your card");
        return SM_OK;
    }
    if (rc != CL_SUCCESS) {
        report_problem(&s->report, "the OpenCL loader cannot list platforms: %s (%d)", sm_cl_error_name(rc), (int)rc);
        return SM_OK;
    }
    s->report.platforms = n < PLATFORMS_MAX ? n : PLATFORMS_MAX;
    sm_err err = SM_OK;
    for (uint32_t i = 0; i < s->report.platforms && !err; i++) err = scan_platform(s, i, platforms[i]);
    return err;
}

/* Devices are hidden after ids are given, so that hiding one renames no other. */
static void drop_hidden_devices(struct scan *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->list.n; i++)
        if (!filter_hits(&s->hide_devices, s->list.v[i].info.name)) s->list.v[kept++] = s->list.v[i];
    s->list.n = kept;
}

/* The caller frees s->list.v, also on failure. One enumeration at a time: drivers are least tested there. */
static sm_err scan(struct scan *s, struct sm_errinfo *ei)
{
    static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    filter_open(&s->hide_platforms, "POST_OCL_PLATFORMS_BLACKLIST");
    filter_open(&s->hide_devices, "POST_OCL_DEVICES_BLACKLIST");
    (void)pthread_mutex_lock(&mu);
    sm_err err = scan_all(s);
    (void)pthread_mutex_unlock(&mu);
    drop_hidden_devices(s);
    filter_close(&s->hide_platforms);
    filter_close(&s->hide_devices);
    return err ? sm_fail(ei, err, "out of memory listing OpenCL devices") : SM_OK;
}

sm_err sm_gpu_list(struct sm_gpu_device **out, size_t *out_n, struct sm_gpu_report *out_report, struct sm_errinfo *ei)
{
    struct scan s = {0};
    struct sm_gpu_device *v = NULL;
    sm_err err = scan(&s, ei);
    if (err) goto out;
    v = calloc(s.list.n ? s.list.n : 1, sizeof *v);
    if (!v) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory listing OpenCL devices");
        goto out;
    }
    for (size_t i = 0; i < s.list.n; i++) v[i] = s.list.v[i].info;
    *out = v;
    *out_n = s.list.n;
    if (out_report) *out_report = s.report;
out:
    free(s.list.v);
    return err;
}

sm_err sm_gpu_find(const char *id, const struct sm_cl **out_cl, struct sm_gpu_found *out, struct sm_errinfo *ei)
{
    struct scan s = {0};
    const struct sm_gpu_found *hit = NULL;
    sm_err err = scan(&s, ei);
    if (err) goto out;
    for (size_t i = 0; i < s.list.n && !hit; i++)
        if (strcmp(s.list.v[i].info.id, id) == 0) hit = &s.list.v[i];
    if (!hit) {
        err = sm_fail(ei, SM_E_NOTFOUND, "no OpenCL device is called \"%s\" (%zu found)%s%.200s", id, s.list.n,
                      *s.report.problem ? ": " : "", s.report.problem);
        goto out;
    }
    if (*hit->info.problem) {
        err = sm_fail(ei, SM_E_DEVICE, "%s (%s): %s", id, hit->info.name, hit->info.problem);
        goto out;
    }
    *out_cl = s.cl;
    *out = *hit;
out:
    free(s.list.v);
    return err;
}

bool sm_gpu_describe(const char *id, struct sm_gpu_device *out)
{
    const struct sm_cl *cl;
    struct sm_gpu_found found;
    if (sm_gpu_find(id, &cl, &found, NULL)) return false;
    *out = found.info;
    return true;
}
