#include <inttypes.h>

#include "crypto/scrypt.h"
#include "libpost/impl.h"
#include "util/bytes.h"
#include "util/log.h"

_Static_assert(sizeof(ArrayU8) == 3 * sizeof(void *) && sizeof(ProofMetadata) == 100, "post.md §9.1");
_Static_assert(sizeof(void *) != 8 || (sizeof(Proof) == 40 && sizeof(ProofConfig) == 40 && sizeof(InitConfig) == 40 &&
                                       sizeof(Provider) == 72 && sizeof(VerifyResult) == 16 &&
                                       sizeof(VerifyPosResult) == 24 && sizeof(ExternCRecord) == 64),
               "post.md §9.1");

const char *version(void)
{
    return SM_LIBPOST_VERSION;
}

void sm_libpost_failed(const char *function, const struct sm_errinfo *ei)
{
    sm_log(SM_LOG_ERROR, "libpost", function, "%s", ei->text);
}

sm_err sm_libpost_scrypt_n(ScryptParams s, bool round, uint32_t *out, struct sm_errinfo *ei)
{
    if (s.r != 1 || s.p != 1)
        return sm_fail(ei, SM_E_ARG, "scrypt r = %" PRIuPTR ", p = %" PRIuPTR ": only 1 and 1 are possible", s.r, s.p);
    if (s.n < SM_SCRYPT_N_MIN || (!round && !sm_is_pow2_u64(s.n)) || s.n >= 2 * (uintptr_t)SM_SCRYPT_N_MAX)
        return sm_fail(ei, SM_E_ARG, "scrypt N = %" PRIuPTR ": must be a power of two from %u to %u", s.n,
                       SM_SCRYPT_N_MIN, SM_SCRYPT_N_MAX);
    uint32_t n = SM_SCRYPT_N_MIN;
    while (n <= s.n / 2) n *= 2;
    *out = n;
    return SM_OK;
}

struct sm_randomx_cfg sm_libpost_randomx(RandomXFlag flags)
{
    return (struct sm_randomx_cfg){
        .mode = flags & RandomXFlag_FLAG_FULL_MEM ? SM_RANDOMX_FAST : SM_RANDOMX_LIGHT,
        .large_pages = flags & RandomXFlag_FLAG_LARGE_PAGES,
    };
}

RandomXFlag recommended_pow_flags(void)
{
    return sm_randomx_recommended_flags();
}
