/* postsvc/provider.h: what a rig offers to its registrations, for one identity.
 *
 * All functions are called on the loop thread and answer at once from what is known: RandomX, disks and verification
 * belong to other threads (post-service.md OUR-9). They must not call the registration that calls them. */
#ifndef SM_POSTSVC_PROVIDER_H
#define SM_POSTSVC_PROVIDER_H

#include "post/proof.h"
#include "postsvc/link.h"
#include "postsvc/message.h"
#include "util/err.h"

typedef enum sm_post_answer {
    SM_POST_IN_PROGRESS, /* queued or running: the node asks again in 2 s and cannot tell the two apart */
    SM_POST_DONE,        /* *out and *out_info are set, and stay available until fetched() at least (OUR-4) */
    SM_POST_FAILED,      /* said once per attempt; the next question starts a new one (OUR-7) */
} sm_post_answer;

struct sm_post_provider {
    /* The identity's data as it is now; asked at each registration. A failure, or data without VRF nonce, is not shown to
     * the node (it could not go on with it): the registration ends and is tried again later. */
    sm_err (*info)(void *ctx, struct sm_post_info *out, struct sm_errinfo *ei);
    /* Starts a proof, polls it, or replaces one for another challenge (OUR-6). *out_info is what the proof was made
     * with. */
    sm_post_answer (*proof)(void *ctx, const struct sm_challenge *challenge, struct sm_proof *out,
                            struct sm_post_info *out_info);
    /* The node's machine has the proof: it asked the next thing, or acknowledged a PING sent behind the proof. May come
     * more than once, and never when the stream broke right after the proof. May be NULL. */
    void (*fetched)(void *ctx, const struct sm_challenge *challenge);
    /* The registration has changed; *st is valid during the call. May be NULL. */
    void (*state)(void *ctx, const struct sm_post_link_state *st);
};

#endif
