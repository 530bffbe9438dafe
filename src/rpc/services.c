#include "rpc/services.h"

#include <string.h>

#include <sm_proto_rpc.h>

#include "rpc/health.h"
#include "rpc/mem.h"
#include "rpc/reflection.h"

#define EXTRA     (SM_HEALTH_METHODS + SM_REFLECTION_METHODS)
#define NAME_ROOM 128u

struct sm_rpc_services {
    struct sm_health *health;
    struct sm_reflection reflection;
    size_t n;
    struct sm_rpc_method methods[];
};

/* "/package.Service/Method" -> "package.Service" */
static sm_err set_health(struct sm_rpc_services *v, const char *path, bool serving, struct sm_errinfo *ei)
{
    char name[NAME_ROOM];
    const char *end = path[0] == '/' ? strchr(path + 1, '/') : NULL;
    const size_t n = end ? (size_t)(end - path - 1) : sizeof name;
    if (n >= sizeof name) return sm_fail(ei, SM_E_ARG, "%s is no path of a method", path);
    memcpy(name, path + 1, n);
    name[n] = '\0';
    return sm_health_set(v->health, name, serving, ei);
}

static sm_err set_all(struct sm_rpc_services *v, bool serving, struct sm_errinfo *ei)
{
    sm_err err = sm_health_set(v->health, "", serving, ei);
    for (size_t i = 0; i < v->n && !err; i++) err = set_health(v, v->methods[i].path, serving, ei);
    return err;
}

sm_err sm_rpc_services_new(const struct sm_rpc_method *methods, size_t methods_n, const struct sm_slice *sets,
                           size_t sets_n, struct sm_rpc_services **out, struct sm_errinfo *ei)
{
    if (sets_n >= SM_REFLECTION_SETS) return sm_fail(ei, SM_E_ARG, "%zu descriptor sets are too many", sets_n);
    struct sm_rpc_services *v = sm_rpc_alloc(sizeof *v + (methods_n + EXTRA) * sizeof v->methods[0]);
    if (!v) return sm_fail(ei, SM_E_NOMEM, "out of memory for the services of a server");
    if (methods_n) memcpy(v->methods, methods, methods_n * sizeof v->methods[0]);
    v->n = methods_n + EXTRA;
    sm_err err = sm_health_new(&v->health, ei);
    sm_health_methods(v->health, v->methods + methods_n);
    sm_reflection_methods(&v->reflection, v->methods + methods_n + SM_HEALTH_METHODS);
    v->reflection.methods = v->methods;
    v->reflection.methods_n = v->n;
    if (sets_n) memcpy(v->reflection.sets, sets, sets_n * sizeof sets[0]);
    v->reflection.sets[sets_n] = sm_proto_rpc;
    v->reflection.sets_n = sets_n + 1;
    if (!err) err = set_all(v, false, ei);
    if (err)
        sm_rpc_services_free(v);
    else
        *out = v;
    return err;
}

void sm_rpc_services_free(struct sm_rpc_services *v)
{
    if (!v) return;
    sm_health_free(v->health);
    sm_rpc_free(v);
}

const struct sm_rpc_method *sm_rpc_services_methods(const struct sm_rpc_services *v, size_t *out_n)
{
    *out_n = v->n;
    return v->methods;
}

void sm_rpc_services_serving(struct sm_rpc_services *v, bool serving)
{
    (void)!set_all(v, serving, NULL); /* every name is known: nothing is allocated */
}
