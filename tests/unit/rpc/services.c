/* The health and reflection services, asked through a pair of connections. */
#include "kit.h"

#include <grpc/health/v1/health.pb-c.h>
#include <grpc/reflection/v1/reflection.pb-c.h>
#include <sm_proto_rpc.h>

#include "rpc/descriptors.h"
#include "rpc/health.h"
#include "rpc/pb.h"
#include "rpc/reflection.h"
#include "rpc/services.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest request;
typedef Grpc__Reflection__V1__ServerReflectionResponse response;
#define ASKS(what) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##what

static struct {
    struct kit *k;
    struct sm_health *health;
    struct sm_reflection reflection;
    struct sm_rpc_method methods[5];
} t;

static void start(void)
{
    t.k = kit_prepare();
    cr_assert_eq(sm_health_new(&t.health, NULL), SM_OK);
    t.methods[0] = t.k->methods[0];
    sm_health_methods(t.health, &t.methods[1]);
    sm_reflection_methods(&t.reflection, &t.methods[3]);
    t.reflection.methods = t.k->server_cfg.methods = t.methods;
    t.reflection.methods_n = t.k->server_cfg.methods_n = 5;
    t.reflection.sets[0] = sm_proto_rpc;
    t.reflection.sets_n = 1;
    kit_start(t.k);
}

static void stop(void)
{
    kit_stop(t.k);
    sm_health_free(t.health);
}

/* ---- health ---- */

static struct sm_rpc_stream *ask_health(const char *method, const char *service, struct kit_call *call)
{
    Grpc__Health__V1__HealthCheckRequest q = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    q.service = (char *)service;
    struct sm_rpc_stream *s = kit_call(t.k, method, call);
    cr_assert_eq(sm_rpc_send_pb(s, &q.base, NULL), SM_OK);
    sm_rpc_half_close(s);
    kit_run(t.k);
    return s;
}

static int health_of(const struct kit_call *call)
{
    Grpc__Health__V1__HealthCheckResponse *a =
        grpc__health__v1__health_check_response__unpack(NULL, call->last_n, call->last);
    cr_assert(a);
    const int status = a->status;
    grpc__health__v1__health_check_response__free_unpacked(a, NULL);
    return status;
}

Test(health, check)
{
    struct kit_call whole = {0}, one = {0}, unknown = {0}, long_name = {0};
    char name[3000];
    start();
    cr_assert_eq(sm_health_set(t.health, "a.B", true, NULL), SM_OK);
    (void)ask_health("/grpc.health.v1.Health/Check", "", &whole);
    (void)ask_health("/grpc.health.v1.Health/Check", "a.B", &one);
    (void)ask_health("/grpc.health.v1.Health/Check", "a.C", &unknown);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)ask_health("/grpc.health.v1.Health/Check", name, &long_name);
    kit_assert_end(&whole, SM_GRPC_OK, "");
    cr_assert_eq(health_of(&whole), 2);
    kit_assert_end(&one, SM_GRPC_OK, "");
    cr_assert_eq(health_of(&one), 1);
    kit_assert_end(&unknown, SM_GRPC_NOT_FOUND, "a.C");
    kit_assert_end(&long_name, SM_GRPC_INVALID_ARGUMENT, "");
    stop();
}

Test(health, watch)
{
    struct kit_call call = {0};
    start();
    struct sm_rpc_stream *s = ask_health("/grpc.health.v1.Health/Watch", "a.B", &call);
    cr_assert_eq(call.messages, 1);
    cr_assert_eq(health_of(&call), 3); /* not known yet */
    static const bool states[] = {true, true, false, true};
    static const unsigned heard[] = {2, 2, 3, 4};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(sm_health_set(t.health, "a.B", states[i], NULL), SM_OK);
        kit_run(t.k);
        cr_assert_eq(call.messages, heard[i]);
        cr_assert_eq(health_of(&call), states[i] ? 1 : 2);
    }
    cr_assert_eq(call.ends, 0);
    sm_rpc_cancel(s);
    kit_run(t.k);
    cr_assert_eq(sm_health_set(t.health, "a.B", false, NULL), SM_OK); /* nobody watches any more */
    stop();
}

Test(health, garbage)
{
    struct kit_call call = {0};
    start();
    cr_assert_eq(sm_rpc_send(kit_call(t.k, "/grpc.health.v1.Health/Check", &call), kit_text("\x0a\x05x"), NULL), SM_OK);
    kit_run(t.k);
    kit_assert_end(&call, SM_GRPC_INVALID_ARGUMENT, "");
    stop();
}

/* ---- reflection ---- */

/* Large answers: keeps the whole last message. */
struct answer {
    struct kit_call call;
    response *a;
};

static void on_answer(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct answer *out = ctx;
    (void)s;
    if (out->a) grpc__reflection__v1__server_reflection_response__free_unpacked(out->a, NULL);
    out->a = grpc__reflection__v1__server_reflection_response__unpack(NULL, msg.n, msg.p);
    cr_assert(out->a);
}

static void ask(struct answer *out, const char *version, request *q)
{
    static const struct sm_rpc_stream_events events = {.on_message = on_answer, .on_end = kit_on_end};
    char path[100];
    struct sm_rpc_stream *s;
    *out = (struct answer){0};
    (void)snprintf(path, sizeof path, "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo", version);
    cr_assert_eq(sm_rpc_call(t.k->c, path, 0, t.k->now, &events, out, &s, NULL), SM_OK);
    q->host = (char *)"me";
    cr_assert_eq(sm_rpc_send_pb(s, &q->base, NULL), SM_OK);
    kit_run(t.k);
    cr_assert(out->a);
    cr_assert_str_eq(out->a->valid_host, "me");
    cr_assert_eq(out->a->original_request->message_request_case, q->message_request_case);
    sm_rpc_half_close(s);
    kit_run(t.k);
    kit_assert_end(&out->call, SM_GRPC_OK, "");
}

static void ask_text(struct answer *out, const char *version, int what, const char *value)
{
    request q = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    q.message_request_case = what;
    q.list_services = (char *)value; /* every question is a string */
    ask(out, version, &q);
}

static void forget(struct answer *a)
{
    grpc__reflection__v1__server_reflection_response__free_unpacked(a->a, NULL);
}

Test(reflection, services)
{
    static const char *const want[] = {"test.v1.Echo", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                                       "grpc.reflection.v1alpha.ServerReflection"};
    static const char *const versions[] = {"v1", "v1alpha"};
    start();
    for (size_t v = 0; v < 2; v++) {
        struct answer a;
        ask_text(&a, versions[v], ASKS(LIST_SERVICES), "*");
        const Grpc__Reflection__V1__ListServiceResponse *list = a.a->list_services_response;
        cr_assert_eq(list->n_service, 4);
        for (size_t i = 0; i < 4; i++) cr_assert_str_eq(list->service[i]->name, want[i]);
        forget(&a);
    }
    stop();
}

static void assert_file(const char *version, int what, const char *value, const char *name)
{
    struct answer a;
    ask_text(&a, version, what, value);
    if (!name) {
        cr_assert_eq(a.a->error_response->error_code, SM_GRPC_NOT_FOUND, "%s", value);
        forget(&a);
        return;
    }
    const Grpc__Reflection__V1__FileDescriptorResponse *list = a.a->file_descriptor_response;
    cr_assert_eq(list->n_file_descriptor_proto, 1, "%s", value);
    const ProtobufCBinaryData *d = &list->file_descriptor_proto[0];
    cr_assert_eq(d->data[0], 0x0a); /* field 1, the name, comes first */
    cr_assert_eq(d->data[1], strlen(name));
    cr_assert_arr_eq(d->data + 2, name, strlen(name), "%s", value);
    forget(&a);
}

Test(reflection, files)
{
    static const char health[] = "grpc/health/v1/health.proto", alpha[] = "grpc/reflection/v1alpha/reflection.proto";
    start();
    assert_file("v1", ASKS(FILE_BY_FILENAME), health, health);
    assert_file("v1alpha", ASKS(FILE_BY_FILENAME), alpha, alpha);
    assert_file("v1", ASKS(FILE_BY_FILENAME), "health.proto", NULL);
    assert_file("v1", ASKS(FILE_BY_FILENAME), "", NULL);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1.Health", health);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1.Health.Watch", health);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1.HealthCheckResponse", health);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1.HealthCheckResponse.ServingStatus", health);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.reflection.v1alpha.ServerReflection", alpha);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1.Heal", NULL);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1.Health.Nothing", NULL);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1", NULL);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1.", NULL);
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "", NULL);
    stop();
}

Test(reflection, other_questions)
{
    struct answer a;
    Grpc__Reflection__V1__ExtensionRequest extension = GRPC__REFLECTION__V1__EXTENSION_REQUEST__INIT;
    request q = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    start();
    ask(&a, "v1", &q);
    cr_assert_eq(a.a->error_response->error_code, SM_GRPC_INVALID_ARGUMENT);
    forget(&a);
    q.message_request_case = ASKS(FILE_CONTAINING_EXTENSION);
    q.file_containing_extension = &extension;
    ask(&a, "v1", &q);
    cr_assert_eq(a.a->error_response->error_code, SM_GRPC_NOT_FOUND);
    forget(&a);
    ask_text(&a, "v1", ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE), "grpc.health.v1.HealthCheckRequest");
    cr_assert_eq(a.a->all_extension_numbers_response->n_extension_number, 0);
    forget(&a);
    ask_text(&a, "v1", ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE), "no.Such");
    cr_assert_eq(a.a->error_response->error_code, SM_GRPC_NOT_FOUND);
    forget(&a);
    stop();
}

Test(reflection, garbage)
{
    struct kit_call call = {0};
    start();
    struct sm_rpc_stream *s = kit_call(t.k, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &call);
    cr_assert_eq(sm_rpc_send(s, kit_text("\x0a\x05x"), NULL), SM_OK);
    kit_run(t.k);
    kit_assert_end(&call, SM_GRPC_INVALID_ARGUMENT, "");
    stop();
}

/* ---- descriptors ---- */

/* set { file { name: "a" dependency: "b" dependency: "c" } file { name: "b" } } cut at every length: never more,
 * never a crash */
Test(descriptors, walk)
{
    static const uint8_t set[] = "\x0a\x09\x0a\x01"
                                 "a\x1a\x01"
                                 "b\x1a\x01"
                                 "c\x0a\x03\x0a\x01"
                                 "b";
    struct sm_proto_file f;
    struct sm_slice name;
    for (size_t n = 0; n < sizeof set; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        if (n) memcpy(copy, set, n);
        size_t files = 0, imports = 0, at = 0;
        while (sm_proto_next_file((struct sm_slice){copy, n}, &at, &f)) {
            files++;
            for (size_t i = 0; sm_proto_next_import(&f, &i, &name);) imports++;
        }
        cr_assert_eq(files, n == sizeof set - 1 ? 2 : n >= 11 ? 1 : 0, "%zu", n);
        cr_assert_eq(imports, n >= 11 ? 2 : 0);
        free(copy);
    }
}

/* ---- the table of a server ---- */

Test(services, table)
{
    struct kit *k = kit_prepare();
    struct sm_rpc_services *v = NULL;
    size_t n;
    cr_assert_eq(sm_rpc_services_new(k->methods, 4, NULL, 0, &v, NULL), SM_OK);
    k->server_cfg.methods = sm_rpc_services_methods(v, &n);
    k->server_cfg.methods_n = n;
    cr_assert_eq(n, 8);
    kit_start(k);
    t.k = k;
    for (unsigned serving = 0; serving < 2; serving++) {
        struct kit_call whole = {0}, echo = {0}, self = {0};
        sm_rpc_services_serving(v, serving);
        (void)ask_health("/grpc.health.v1.Health/Check", "", &whole);
        (void)ask_health("/grpc.health.v1.Health/Check", "test.v1.Echo", &echo);
        (void)ask_health("/grpc.health.v1.Health/Check", "grpc.health.v1.Health", &self);
        cr_assert_eq(health_of(&whole), serving ? 1 : 2);
        cr_assert_eq(health_of(&echo), serving ? 1 : 2);
        cr_assert_eq(health_of(&self), serving ? 1 : 2);
    }
    assert_file("v1", ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1.Health", "grpc/health/v1/health.proto");
    kit_stop(k);
    sm_rpc_services_free(v);
}

Test(services, bad_tables)
{
    struct sm_rpc_services *v = NULL;
    const struct sm_rpc_method row = {.path = "no/path"};
    const struct sm_slice sets[SM_REFLECTION_SETS] = {0};
    cr_assert_eq(sm_rpc_services_new(&row, 1, NULL, 0, &v, NULL), SM_E_ARG);
    cr_assert_eq(sm_rpc_services_new(NULL, 0, sets, SM_REFLECTION_SETS, &v, NULL), SM_E_ARG);
    cr_assert_eq(sm_rpc_services_new(NULL, 0, sets, SM_REFLECTION_SETS - 1, &v, NULL), SM_OK);
    sm_rpc_services_free(v);
    cr_assert_eq(sm_rpc_services_new(NULL, 0, NULL, 0, &v, NULL), SM_OK);
    sm_rpc_services_free(v);
    sm_rpc_services_free(NULL);
}
