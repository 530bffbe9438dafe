/* post.h: the C interface of libpost, as programs for Spacemesh proofs of space-time link it (version 0.7.13).
 *
 * Names, layouts and meanings are those of the established library; a program built for that one runs with this one
 * without being compiled again. Structs are passed by value where shown. Sizes in comments are those of 64-bit machines.
 *
 * Threads: every function may be called from any thread. One Initializer serves one call at a time (others wait), one
 * Verifier any number at once. What a `new_` or `generate_` function returns belongs to the caller and is given back,
 * once, to the `free_` function of the same name; everything else is borrowed during the call only.
 *
 * Source: our spec, post.md §9. The order and names of constants inside an enum are published; where a program may know
 * a constant by a longer name, both are here. */
#ifndef POST_H
#define POST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CPU_PROVIDER_ID UINT32_MAX

/* ---- types ---- */

typedef struct ArrayU8 { /* 24 bytes */
    uint8_t *ptr;
    uintptr_t len, cap;
} ArrayU8;

typedef struct Proof { /* 40 bytes */
    uint32_t nonce;
    ArrayU8 indices;
    uint64_t pow;
} Proof;

typedef struct ProofMetadata { /* 100 bytes */
    uint8_t node_id[32], commitment_atx_id[32], challenge[32];
    uint32_t num_units;
} ProofMetadata;

typedef struct ProofConfig { /* 40 bytes */
    uint32_t k1, k2;
    uint8_t pow_difficulty[32]; /* big-endian, not divided by the units */
} ProofConfig;

typedef struct ScryptParams { /* 24 bytes; r and p must be 1 */
    uintptr_t n, r, p;
} ScryptParams;

typedef struct InitConfig { /* 40 bytes */
    uint32_t min_num_units, max_num_units;
    uint64_t labels_per_unit;
    ScryptParams scrypt;
} InitConfig;

typedef enum DeviceClass { DeviceClass_CPU = 1, DeviceClass_GPU = 2 } DeviceClass;

typedef struct Provider { /* 72 bytes */
    char name[64];        /* ends with NUL, cut to 63 bytes */
    uint32_t id;
    DeviceClass class_;
} Provider;

typedef enum InitializeResult {
    InitializeResult_Ok = 0,
    InitializeResult_OkNonceNotFound = 1,
    InitializeResult_InvalidLabelsRange = 2,
    InitializeResult_Error = 3,
    InitializeResult_InvalidArgument = 4,
    InitializeResult_FailedToGetProviders = 5,
    InitializeResult_InitializeOk = InitializeResult_Ok,
    InitializeResult_InitializeOkNonceNotFound = InitializeResult_OkNonceNotFound,
    InitializeResult_InitializeInvalidLabelsRange = InitializeResult_InvalidLabelsRange,
    InitializeResult_InitializeError = InitializeResult_Error,
    InitializeResult_InitializeInvalidArgument = InitializeResult_InvalidArgument,
    InitializeResult_InitializeFailedToGetProviders = InitializeResult_FailedToGetProviders
} InitializeResult;

typedef enum VerifyResult_Tag {
    VerifyResult_Ok = 0,
    VerifyResult_Invalid = 1,
    VerifyResult_InvalidIndex = 2,
    VerifyResult_InvalidArgument = 3
} VerifyResult_Tag;

typedef struct VerifyResult_InvalidIndex_Body {
    uintptr_t index_id; /* which of the proof's indices: 0 … k2 - 1 */
} VerifyResult_InvalidIndex_Body;

typedef struct VerifyResult { /* 16 bytes */
    VerifyResult_Tag tag;
    union {
        VerifyResult_InvalidIndex_Body invalid_index;
    };
} VerifyResult;

typedef enum VerifyPosResult_Tag {
    VerifyPosResult_Ok = 0,
    VerifyPosResult_Invalid = 1,
    VerifyPosResult_InvalidArgument = 2,
    VerifyPosResult_Failed = 3
} VerifyPosResult_Tag;

typedef struct VerifyPosResult_Invalid_Body {
    uintptr_t file;  /* N of postdata_N.bin */
    uint64_t offset; /* of the first label found wrong, in bytes */
} VerifyPosResult_Invalid_Body;

typedef struct VerifyPosResult { /* 24 bytes */
    VerifyPosResult_Tag tag;
    union {
        VerifyPosResult_Invalid_Body invalid;
    };
} VerifyPosResult;

typedef enum NewVerifierResult {
    NewVerifierResult_Ok = 0,
    NewVerifierResult_InvalidArgument = 1,
    NewVerifierResult_Failed = 2
} NewVerifierResult;

typedef uint32_t RandomXFlag; /* any of these together; others are ignored */
#define RandomXFlag_FLAG_DEFAULT      ((uint32_t)0)
#define RandomXFlag_FLAG_LARGE_PAGES  ((uint32_t)1)
#define RandomXFlag_FLAG_HARD_AES     ((uint32_t)2)
#define RandomXFlag_FLAG_FULL_MEM     ((uint32_t)4)
#define RandomXFlag_FLAG_JIT          ((uint32_t)8)
#define RandomXFlag_FLAG_SECURE       ((uint32_t)16)
#define RandomXFlag_FLAG_ARGON2_SSSE3 ((uint32_t)32)
#define RandomXFlag_FLAG_ARGON2_AVX2  ((uint32_t)64)
#define RandomXFlag_FLAG_ARGON2       ((uint32_t)96)

typedef uintptr_t Level;
enum { Level_Error = 1, Level_Warn = 2, Level_Info = 3, Level_Debug = 4, Level_Trace = 5 };

typedef struct StringView { /* 16 bytes; no NUL at the end */
    const char *ptr;
    uintptr_t len;
} StringView;

typedef struct ExternCRecord { /* 64 bytes; valid during the callback */
    Level level;
    StringView message, module_path, file;
    int64_t line; /* -1: not known */
} ExternCRecord;

typedef struct Initializer Initializer;
typedef struct Verifier Verifier;

/* ---- the library ---- */

/* "0.7.13"; static. */
const char *version(void);

/* Receives what the library has to say, lines of `level` and more important ones, from whichever thread says it, one at
 * a time; must not call functions of this library. Without a callback the library is silent. The first call answers
 * 0; later ones, and one with NULL, answer 1 and change nothing. */
int32_t set_logging_callback(Level level, void (*callback)(const ExternCRecord *record));

/* ---- labels ---- */

/* Graphics devices that can be used, and the processor, which is always counted. */
uintptr_t get_providers_count(void);

/* Fills at most out_len entries: graphics devices with ids from 0, then the processor (CPU_PROVIDER_ID) when there is
 * room left. Entries beyond are not touched. InvalidArgument: out is NULL. FailedToGetProviders: the devices cannot be
 * listed; a machine without an OpenCL driver is no such case. */
InitializeResult get_providers(Provider *out, uintptr_t out_len);

/* n           scrypt's memory cost, a power of two from 2 to 1048576
 * commitment  32 bytes
 * difficulty  32 bytes, or NULL: no VRF nonce is looked for. Memory that ends earlier is tolerated and counts as NULL.
 *
 * NULL: an argument is impossible, there is no such provider, or its device cannot be used (the log says which). All
 * processors work for CPU_PROVIDER_ID; they are engaged by the first range that is worth it. */
Initializer *new_initializer(uint32_t provider_id, uintptr_t n, const uint8_t *commitment,
                             const uint8_t *vrf_difficulty);

/* Labels `start` to `end`, both included, 16 bytes each, to `out`. With out_nonce, the index of the smallest label below
 * the difficulty is stored there and Ok returned, or it is left alone and OkNonceNotFound returned; without, always Ok.
 *
 * InvalidLabelsRange: end is 2^64 - 1, or before start. InvalidArgument: a NULL where none is allowed. Error: the
 * labels could not be computed, `out` is garbage; calling again may succeed. A graphics device that fails or
 * gives wrong labels is replaced by the processor. */
InitializeResult initialize(Initializer *initializer, uint64_t start, uint64_t end, uint8_t *out, uint64_t *out_nonce);

void free_initializer(Initializer *initializer); /* NULL is allowed */

/* Compares labels on disk with what they should be. datadir is UTF-8; from_file and to_file (both included) NULL: the
 * first and the last; fraction: percent of each file's labels, chosen at random; below one label of a file, none of it.
 *
 * Invalid: the first wrong label. Failed: metadata or files are missing, short or unreadable, or another process is
 * writing there. InvalidArgument: no path, a path that is not UTF-8, a fraction outside 0 … 100, impossible scrypt
 * parameters. */
VerifyPosResult verify_pos(const char *datadir, const uint32_t *from_file, const uint32_t *to_file, double fraction,
                           ScryptParams scrypt);

/* ---- proofs ---- */

/* What RandomX can use on this machine: code generation, AES and Argon2 instructions; light mode. */
RandomXFlag recommended_pow_flags(void);

/* Blocks until a proof is found: minutes to hours. challenge: 32 bytes; nonces: tried per pass, a multiple of 16;
 * threads: 0 = all processors; FULL_MEM in the flags: fast mode. NULL on failure, the log says why. What was done
 * before an interruption is kept in the data directory and continued by the same call. */
Proof *generate_proof(const char *datadir, const unsigned char *challenge, ProofConfig cfg, uintptr_t nonces,
                      uintptr_t threads, RandomXFlag pow_flags);

void free_proof(Proof *proof); /* NULL is allowed */

/* InvalidArgument: out is NULL. Failed: no memory for RandomX. */
NewVerifierResult new_verifier(RandomXFlag flags, Verifier **out);

void free_verifier(Verifier *verifier); /* NULL is allowed */

/* All indices of the proof, one of them, or k3 of them chosen by the seed. InvalidArgument: a NULL where none is allowed,
 * parameters that no network has. InvalidIndex: the first index whose label is not good. Invalid: everything else. */
VerifyResult verify_proof(const Verifier *verifier, Proof proof, const ProofMetadata *metadata, ProofConfig cfg,
                          InitConfig init_cfg);
VerifyResult verify_proof_index(const Verifier *verifier, Proof proof, const ProofMetadata *metadata, ProofConfig cfg,
                                InitConfig init_cfg, uintptr_t index);
VerifyResult verify_proof_subset(const Verifier *verifier, Proof proof, const ProofMetadata *metadata, ProofConfig cfg,
                                 InitConfig init_cfg, uintptr_t k3, const uint8_t *seed, uintptr_t seed_len);

#ifdef __cplusplus
}
#endif

#endif
