/* What happens at a hub, in words or as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hub.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

static char *id10(const uint8_t *id, char out[11])
{
    return sm_hex_encode(id, 5, out);
}

static json_t *hex(const uint8_t b[32])
{
    return sm_cli_json_hex(b, 32);
}

static const char *phase_name(const struct sm_post_identity *id)
{
    static const char *const names[] = {"idle", "waiting", "asking", "verifying"};
    return names[id->request];
}

/* Steals the reference of an object and fills it. */
static void put_identity(json_t *o, const struct sm_post_identity *id)
{
    json_object_set_new(o, "node_id", hex(id->id.b));
    json_object_set_new(o, "name", json_string(id->name));
    json_object_set_new(o, "known", json_boolean(id->known));
    json_object_set_new(o, "registered", json_boolean(id->registered));
    json_object_set_new(o, "address", json_string(id->address));
    json_object_set_new(o, "request", json_string(phase_name(id)));
    json_object_set_new(o, "challenge", id->request == SM_POST_REQUEST_NONE ? json_null() : hex(id->challenge.b));
    if (!id->has_info) return;
    json_object_set_new(o, "commitment_atx_id", hex(id->info.commitment_atx_id.b));
    json_object_set_new(o, "vrf_nonce", sm_cli_json_u64(id->info.nonce));
    json_object_set_new(o, "num_units", sm_cli_json_u64(id->info.num_units));
    json_object_set_new(o, "labels_per_unit", sm_cli_json_u64(id->info.labels_per_unit));
}

static json_t *event(const char *name)
{
    return json_pack("{s:s, s:I}", "event", name, "time_unix_s", (json_int_t)sm_clock_wall_s());
}

/* ---- streams ---- */

static void on_registered(void *ctx, const struct sm_post_identity *id)
{
    struct sm_hub *h = ctx;
    char node[11];
    json_t *o = event("registered");
    put_identity(o, id);
    sm_cli_event(h->cli, o);
    sm_cli_say(h->cli, "registered  %s  %s  %" PRIu32 " units%s%s", id10(id->id.b, node), id->address,
               id->info.num_units, id->name[0] ? "  " : "", id->name);
}

static void on_gone(void *ctx, const struct sm_post_identity *id, const char *why)
{
    struct sm_hub *h = ctx;
    char node[11];
    json_t *o = event("gone");
    put_identity(o, id);
    json_object_set_new(o, "why", json_string(why));
    sm_cli_event(h->cli, o);
    sm_cli_say(h->cli, "gone        %s  %s", id10(id->id.b, node), why);
}

static void on_refused(void *ctx, const struct sm_node_id *id, const char *address, const struct sm_grpc_status *why)
{
    struct sm_hub *h = ctx;
    char node[11] = "-";
    if (id) (void)id10(id->b, node);
    json_t *o = event("refused");
    json_object_set_new(o, "node_id", id ? hex(id->b) : json_null());
    json_object_set_new(o, "address", json_string(address));
    json_object_set_new(o, "code", json_string(sm_grpc_code_name(why->code)));
    json_object_set_new(o, "text", json_string(why->message));
    sm_cli_event(h->cli, o);
    sm_cli_say(h->cli, "refused     %s  %s  %s", node, address, why->message);
}

const struct sm_post_events sm_hub_events = {
    .registered = on_registered,
    .gone = on_gone,
    .refused = on_refused,
    .proof = sm_hub_on_proof,
    .failed = sm_hub_on_failed,
};

/* ---- requests ---- */

static json_t *wanted_event(const char *name, const struct sm_wanted *w)
{
    json_t *o = event(name);
    json_object_set_new(o, "node_id", hex(w->id.b));
    json_object_set_new(o, "challenge", hex(w->challenge.b));
    return o;
}

void sm_hub_tell_listening(struct sm_hub *h, const char *address, bool tls)
{
    json_t *o = event("listening");
    json_object_set_new(o, "address", json_string(address));
    json_object_set_new(o, "tls", json_boolean(tls));
    sm_cli_event(h->cli, o);
    sm_cli_say(h->cli, "listening   %s%s", address, tls ? "  TLS" : "");
}

void sm_hub_tell_requested(struct sm_hub *h, const struct sm_wanted *w)
{
    char node[11], challenge[11];
    sm_cli_event(h->cli, wanted_event("requested", w));
    sm_cli_say(h->cli, "requested   %s  challenge %s", id10(w->id.b, node), id10(w->challenge.b, challenge));
}

void sm_hub_tell_proof(struct sm_hub *h, const struct sm_wanted *w, const char *path, const struct sm_post_verified *v)
{
    char node[11], challenge[11];
    json_t *o = wanted_event("proof", w);
    json_object_set_new(o, "file", json_string(path));
    json_object_set_new(o, "existing", json_boolean(!v));
    if (v) {
        json_object_set_new(o, "num_units", sm_cli_json_u64(v->meta.num_units));
        json_object_set_new(o, "vrf_nonce", sm_cli_json_u64(v->info.nonce));
    }
    sm_cli_event(h->cli, o);
    sm_cli_say(h->cli, "proof       %s  challenge %s  %s%s", id10(w->id.b, node), id10(w->challenge.b, challenge), path,
               v ? "" : "  (was there already)");
}

void sm_hub_tell_failed(struct sm_hub *h, const struct sm_wanted *w, const char *reason, const char *text,
                        uint64_t retry_ns)
{
    char node[11], challenge[11], retry[32];
    json_t *o = wanted_event("failed", w);
    json_object_set_new(o, "reason", json_string(reason));
    json_object_set_new(o, "text", json_string(text));
    json_object_set_new(o, "retry_s", retry_ns ? sm_cli_json_u64(retry_ns / SM_NS_PER_S) : json_null());
    sm_cli_event(h->cli, o);
    sm_cli_say(h->cli, "failed      %s  challenge %s  %s: %s%s%s", id10(w->id.b, node), id10(w->challenge.b, challenge),
               reason, text, retry_ns ? "; asking again in " : "",
               retry_ns ? sm_text_duration((double)retry_ns / (double)SM_NS_PER_S, retry) : "");
}

void sm_hub_tell_cancelled(struct sm_hub *h, const struct sm_node_id *id)
{
    char node[11];
    json_t *o = event("cancelled");
    json_object_set_new(o, "node_id", hex(id->b));
    sm_cli_event(h->cli, o);
    sm_cli_say(h->cli, "cancelled   %s", id10(id->b, node));
}

void sm_hub_tell_error(struct sm_hub *h, const char *text)
{
    json_t *o = event("error");
    json_object_set_new(o, "text", json_string(text));
    sm_cli_event(h->cli, o);
    sm_cli_say(h->cli, "error       %s", text);
}

/* ---- the list ---- */

static void add_identity(void *ctx, const struct sm_post_identity *id)
{
    json_t *o = json_object();
    put_identity(o, id);
    json_array_append_new(ctx, o);
}

static void add_row(void *ctx, const struct sm_post_identity *id)
{
    char node[11], units[16] = "";
    if (id->has_info) (void)snprintf(units, sizeof units, "%" PRIu32, id->info.num_units);
    SM_TABLE_ROW(ctx, id10(id->id.b, node), id->name, id->registered ? id->address : "not registered", units,
                 phase_name(id));
}

void sm_hub_tell_identities(struct sm_hub *h)
{
    json_t *o = event("identities"), *list = json_array();
    sm_post_server_list(h->post, add_identity, list);
    json_object_set_new(o, "identities", list);
    sm_cli_event(h->cli, o);
    struct sm_table *t = sm_table_new("lllrl");
    SM_TABLE_ROW(t, "identity", "name", "connection", "units", "request");
    sm_post_server_list(h->post, add_row, t);
    sm_table_say(h->cli, t);
    sm_table_free(t);
    (void)fflush(stdout);
}
