/* codec/registry.h: every object of the network by name, with its identifiers and the checks that need nothing but the
 * object and a few known values. `smesher decode` and the fuzzers work on this table. */
#ifndef SM_CODEC_REGISTRY_H
#define SM_CODEC_REGISTRY_H

#include "codec/scale.h"
#include "util/ids.h"

typedef enum sm_object_form {
    SM_OBJECT_SCALE,              /* described by `type` */
    SM_OBJECT_MALFEASANCE,        /* struct sm_malfeasance_proof */
    SM_OBJECT_MALFEASANCE_GOSSIP, /* the same, followed by an absent eligibility */
} sm_object_form;

/* What the checks may need besides the object; unknown values make a check impossible, not failed. */
struct sm_object_context {
    const struct sm_genesis_id *genesis; /* NULL: unknown */
    const struct sm_beacon *beacon;      /* NULL: unknown */
    const uint64_t *vrf_nonce;           /* of the sender; NULL: unknown */
    uint32_t layers_per_epoch;           /* 0: unknown */
    struct sm_slice received;            /* what the object was decoded from, for IDs and signatures of transactions;
                                            empty: the canonical encoding */
};

typedef enum sm_known { SM_KNOWN_NOT, SM_KNOWN_GOOD, SM_KNOWN_BAD } sm_known;

struct sm_object_id {
    const char *name;
    uint8_t b[32];
    size_t n;
};
struct sm_object_check {
    const char *name;
    sm_known known;
    const char *needs; /* of SM_KNOWN_NOT: what is missing */
};
#define SM_OBJECT_IDS_MAX    4u
#define SM_OBJECT_CHECKS_MAX 4u
struct sm_object_facts {
    struct sm_object_id ids[SM_OBJECT_IDS_MAX];
    size_t ids_n;
    struct sm_object_check checks[SM_OBJECT_CHECKS_MAX];
    size_t checks_n;
};

struct sm_object {
    const char *name;    /* "atx-v1" */
    const char *summary; /* for lists */
    sm_object_form form;
    const struct sm_scale_type *type; /* NULL unless SM_OBJECT_SCALE; type->name is the reference's name, an alias */
    sm_err (*facts)(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                    struct sm_errinfo *ei); /* NULL: nothing to say */
};

extern const struct sm_object sm_objects[];
extern const size_t sm_objects_n;

/* By name, or by the reference's name in any case ("ActivationTxV1"); NULL when unknown. */
const struct sm_object *sm_object_find(const char *name);

/* *out points into the arena. Errors as sm_scale_decode. */
SM_MUST_CHECK sm_err sm_object_decode(const struct sm_object *o, struct sm_slice in, struct sm_arena *arena, void **out,
                                      struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_object_encode(const struct sm_object *o, const void *obj, struct sm_scale_writer *w,
                                      struct sm_errinfo *ei);
json_t *sm_object_json(const struct sm_object *o, const void *obj);

/* Identifiers and checks. Fails only out of memory. */
SM_MUST_CHECK sm_err sm_object_facts_of(const struct sm_object *o, const void *obj, const struct sm_object_context *ctx,
                                        struct sm_object_facts *out, struct sm_errinfo *ei);

#endif
