#include "cli/groups.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/network.h"
#include "config/value.h"

/* ---- network ---- */

static sm_err apply_param(struct sm_post_params *p, const char *text, struct sm_errinfo *ei)
{
    char key[64];
    const char *equals = strchr(text, '=');
    if (!equals || (size_t)(equals - text) >= sizeof key)
        return sm_fail(ei, SM_E_ARG, "--param %s: KEY=VALUE is expected, for example k1=12", text);
    (void)snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    return sm_network_set(p, key, equals + 1, "--param", ei);
}

sm_err sm_net_params(const struct sm_net_args *args, struct sm_post_params *out, struct sm_errinfo *ei)
{
    sm_err err = sm_network_load(args->network, out, ei);
    if (!err) err = sm_network_apply_env(out, (const char *const *)environ, ei);
    for (size_t i = 0; !err && i < args->param.n; i++) err = apply_param(out, args->param.v[i], ei);
    if (err == SM_E_NOTFOUND)
        return SM_E_FORMAT; /* a configuration file that is not there: the configuration is wrong */
    if (err) return err;
    struct sm_errinfo inner = {0};
    err = sm_post_params_check(out, &inner);
    return err ? sm_fail(ei, err, "network parameters of %s: %s", args->network, inner.text) : SM_OK;
}

/* ---- RandomX ---- */

const char *const sm_randomx_modes[] = {"light", "fast", NULL};

struct sm_randomx_cfg sm_randomx_cfg_of(const struct sm_randomx_args *args)
{
    return (struct sm_randomx_cfg){
        .mode = (sm_randomx_mode)args->mode,
        .large_pages = args->large_pages,
        .no_huge_pages = args->no_huge_pages,
        .dataset_file = args->dataset_file,
    };
}

/* ---- processors ---- */

sm_err sm_cores_parse(const char *text, unsigned **out, unsigned *out_n, struct sm_errinfo *ei)
{
    unsigned *cores = calloc(strlen(text) + 1, sizeof *cores);
    unsigned n = 0;
    char word[16];
    if (!cores) return sm_fail(ei, SM_E_NOMEM, "out of memory reading --cores");
    sm_err err = SM_OK;
    for (const char *p = text; !err; p++) {
        const size_t len = strcspn(p, ",");
        uint64_t v = 0;
        (void)snprintf(word, sizeof word, "%.*s", (int)(len < 15 ? len : 15), p);
        err = sm_value_u64(word, "--cores", 0, 4095, &v, ei);
        for (unsigned i = 0; !err && i < n; i++)
            if (cores[i] == v) err = sm_fail(ei, SM_E_ARG, "--cores names processor %u twice", cores[i]);
        if (!err) cores[n++] = (unsigned)v;
        p += len;
        if (!*p) break;
    }
    if (err) {
        free(cores);
        return SM_E_ARG;
    }
    *out = cores;
    *out_n = n;
    return SM_OK;
}
