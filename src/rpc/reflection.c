#include "rpc/reflection.h"

#include <string.h>

#include <grpc/reflection/v1/reflection.pb-c.h>

#include "rpc/descriptors.h"
#include "rpc/pb.h"

#define REQUEST_MAX  4096u /* bytes */
#define FILES_MAX    64u   /* in one answer: a file and all it imports */
#define SERVICES_MAX 64u
#define NAME_ROOM    128u

/* v1alpha has the same messages under another package. */
typedef Grpc__Reflection__V1__ServerReflectionRequest request;
typedef Grpc__Reflection__V1__ServerReflectionResponse response;
#define ASKS(what)    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##what
#define ANSWERS(what) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##what

static struct sm_slice text(const char *s)
{
    return (struct sm_slice){(const uint8_t *)s, strlen(s)};
}

static bool same(struct sm_slice a, struct sm_slice b)
{
    return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

/* ---- files ---- */

static bool by_name(const struct sm_proto_file *f, struct sm_slice name)
{
    return same(f->name, name);
}

static bool find_file(const struct sm_reflection *r, bool (*matches)(const struct sm_proto_file *, struct sm_slice),
                      struct sm_slice what, struct sm_proto_file *out)
{
    for (size_t i = 0; i < r->sets_n; i++)
        for (size_t at = 0; sm_proto_next_file(r->sets[i], &at, out);)
            if (matches(out, what)) return true;
    return false;
}

struct files {
    struct sm_proto_file list[FILES_MAX];
    size_t n;
};

static void add_file(struct files *files, const struct sm_proto_file *f)
{
    for (size_t i = 0; i < files->n; i++)
        if (same(files->list[i].name, f->name)) return;
    if (files->n < FILES_MAX) files->list[files->n++] = *f;
}

/* The list grows while it is walked, until it holds the imports of all its files. */
static void add_imports(const struct sm_reflection *r, struct files *files)
{
    struct sm_slice name;
    struct sm_proto_file f;
    for (size_t i = 0; i < files->n; i++)
        for (size_t at = 0; sm_proto_next_import(&files->list[i], &at, &name);)
            if (find_file(r, by_name, name, &f)) add_file(files, &f);
}

/* ---- answers ---- */

static void reply(struct sm_rpc_stream *s, request *q, response *a)
{
    struct sm_errinfo ei = {0};
    a->valid_host = q->host;
    a->original_request = q;
    if (sm_rpc_send_pb(s, &a->base, &ei)) sm_rpc_refuse(s, SM_GRPC_RESOURCE_EXHAUSTED, "%.200s", ei.text);
}

static void reply_error(struct sm_rpc_stream *s, request *q, sm_grpc_code code, const char *message)
{
    response a = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    error.error_code = (int32_t)code;
    error.error_message = (char *)(size_t)message;
    a.message_response_case = ANSWERS(ERROR_RESPONSE);
    a.error_response = &error;
    reply(s, q, &a);
}

static void reply_file(const struct sm_reflection *r, struct sm_rpc_stream *s, request *q,
                       bool (*matches)(const struct sm_proto_file *, struct sm_slice), const char *what)
{
    struct files files = {.n = 1};
    ProtobufCBinaryData data[FILES_MAX];
    response a = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__FileDescriptorResponse list = GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    if (!find_file(r, matches, text(what), &files.list[0])) {
        reply_error(s, q, SM_GRPC_NOT_FOUND, "no such file or symbol");
        return;
    }
    add_imports(r, &files);
    for (size_t i = 0; i < files.n; i++)
        data[i] = (ProtobufCBinaryData){files.list[i].bytes.n, (uint8_t *)(size_t)files.list[i].bytes.p};
    list.file_descriptor_proto = data;
    list.n_file_descriptor_proto = files.n;
    a.message_response_case = ANSWERS(FILE_DESCRIPTOR_RESPONSE);
    a.file_descriptor_response = &list;
    reply(s, q, &a);
}

struct services {
    char names[SERVICES_MAX][NAME_ROOM];
    Grpc__Reflection__V1__ServiceResponse rows[SERVICES_MAX];
    Grpc__Reflection__V1__ServiceResponse *list[SERVICES_MAX];
    size_t n;
};

/* "/package.Service/Method" -> "package.Service", once. */
static void add_service(struct services *services, const char *path)
{
    const char *end = path[0] ? strchr(path + 1, '/') : NULL;
    const size_t n = end ? (size_t)(end - path - 1) : 0;
    if (!n || n >= NAME_ROOM || services->n == SERVICES_MAX) return;
    for (size_t i = 0; i < services->n; i++)
        if (strlen(services->names[i]) == n && !memcmp(services->names[i], path + 1, n)) return;
    const size_t i = services->n++;
    memcpy(services->names[i], path + 1, n);
    services->names[i][n] = '\0';
    grpc__reflection__v1__service_response__init(&services->rows[i]);
    services->rows[i].name = services->names[i];
    services->list[i] = &services->rows[i];
}

static void reply_services(const struct sm_reflection *r, struct sm_rpc_stream *s, request *q)
{
    struct services services;
    response a = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__ListServiceResponse list = GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    services.n = 0;
    for (size_t i = 0; i < r->methods_n; i++) add_service(&services, r->methods[i].path);
    list.service = services.list;
    list.n_service = services.n;
    a.message_response_case = ANSWERS(LIST_SERVICES_RESPONSE);
    a.list_services_response = &list;
    reply(s, q, &a);
}

/* proto3 has no extensions but those of options, which nobody asks a server for. */
static void reply_extensions(const struct sm_reflection *r, struct sm_rpc_stream *s, request *q)
{
    struct sm_proto_file f;
    response a = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__ExtensionNumberResponse none = GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;
    if (!find_file(r, sm_proto_defines, text(q->all_extension_numbers_of_type), &f)) {
        reply_error(s, q, SM_GRPC_NOT_FOUND, "no such type");
        return;
    }
    none.base_type_name = q->all_extension_numbers_of_type;
    a.message_response_case = ANSWERS(ALL_EXTENSION_NUMBERS_RESPONSE);
    a.all_extension_numbers_response = &none;
    reply(s, q, &a);
}

static void answer(const struct sm_reflection *r, struct sm_rpc_stream *s, request *q)
{
    switch (q->message_request_case) {
    case ASKS(FILE_BY_FILENAME):
        reply_file(r, s, q, by_name, q->file_by_filename);
        break;
    case ASKS(FILE_CONTAINING_SYMBOL):
        reply_file(r, s, q, sm_proto_defines, q->file_containing_symbol);
        break;
    case ASKS(FILE_CONTAINING_EXTENSION):
        reply_error(s, q, SM_GRPC_NOT_FOUND, "no such extension");
        break;
    case ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE):
        reply_extensions(r, s, q);
        break;
    case ASKS(LIST_SERVICES):
        reply_services(r, s, q);
        break;
    default:
        reply_error(s, q, SM_GRPC_INVALID_ARGUMENT, "nothing is asked");
        break;
    }
}

/* ---- the call ---- */

static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    request *q = NULL;
    if (msg.n <= REQUEST_MAX) q = grpc__reflection__v1__server_reflection_request__unpack(NULL, msg.n, msg.p);
    if (!q) {
        sm_rpc_refuse(s, SM_GRPC_INVALID_ARGUMENT, "no ServerReflectionRequest");
        return;
    }
    answer(ctx, s, q);
    grpc__reflection__v1__server_reflection_request__free_unpacked(q, NULL);
}

static void on_half_close(void *ctx, struct sm_rpc_stream *s)
{
    (void)ctx;
    sm_rpc_finish(s, &(struct sm_grpc_status){.code = SM_GRPC_OK});
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    (void)ctx;
    (void)st;
}

static bool open_call(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                      struct sm_grpc_status *refuse)
{
    static const struct sm_rpc_stream_events events = {
        .on_message = on_message, .on_half_close = on_half_close, .on_end = on_end};
    (void)s;
    (void)refuse;
    *ev = &events;
    *ev_ctx = ctx;
    return true;
}

void sm_reflection_methods(struct sm_reflection *r, struct sm_rpc_method out[SM_REFLECTION_METHODS])
{
    out[0] = (struct sm_rpc_method){"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", SM_RPC_STREAMING, r,
                                    open_call};
    out[1] = (struct sm_rpc_method){"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", SM_RPC_STREAMING,
                                    r, open_call};
}
