/* What the journal refuses, keeps, exports and imports. */
#include "kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static struct kit kit;
static struct sm_hash32 other_hash = {{9}};

/* One body of every kind; `v` changes its content, `slot` its slot. */
union any_body {
    struct sm_atx_v1_inner atx_v1;
    struct sm_atx_v2 atx_v2;
    struct sm_nipost_challenge_v1 poet_v1;
    struct sm_nipost_challenge_v2 poet_v2;
    struct sm_inner_ballot ballot;
    struct sm_inner_proposal proposal;
    struct sm_hare_body hare3;
    struct sm_hare4_body hare4;
    struct sm_certify_content certify;
    struct sm_node_id partner;
    struct sm_beacon_first_voting_body beacon_first;
    struct sm_beacon_following_voting_body beacon_next;
};

static struct sm_sign_request make(sm_sign_kind kind, uint32_t slot, uint8_t v, union any_body *b)
{
    static uint8_t vote[2];
    memset(b, 0, sizeof *b);
    switch (kind) {
    case SM_SIGN_ATX_V1:
        b->atx_v1.challenge.publish_epoch = slot;
        b->atx_v1.num_units = v;
        break;
    case SM_SIGN_ATX_V2:
        b->atx_v2.publish_epoch = slot;
        b->atx_v2.smesher_id = kit.id[0];
        b->atx_v2.vrf_nonce = v;
        break;
    case SM_SIGN_POET_V1:
        b->poet_v1.publish_epoch = slot;
        b->poet_v1.sequence = v;
        break;
    case SM_SIGN_POET_V2:
        b->poet_v2.publish_epoch = slot;
        b->poet_v2.prev_atx_id.b[0] = v;
        break;
    case SM_SIGN_BALLOT:
        b->ballot.layer = slot;
        b->ballot.opinion_hash.b[0] = v;
        break;
    case SM_SIGN_PROPOSAL: {
        struct sm_sign_request ballot = {kit.id[0], SM_SIGN_BALLOT, {.ballot = &b->proposal.ballot.inner}};
        b->proposal.ballot.inner.layer = slot;
        b->proposal.ballot.smesher_id = kit.id[0];
        OK(sm_signer_sign(kit.signer, &ballot, &b->proposal.ballot.signature, &ei));
        b->proposal.mesh_hash.b[0] = v;
        break;
    }
    case SM_SIGN_HARE3:
        b->hare3.layer = slot;
        b->hare3.round = 3;
        b->hare3.eligibility.count = v;
        break;
    case SM_SIGN_HARE4:
        b->hare4.layer = slot;
        b->hare4.round = 3;
        b->hare4.eligibility.count = v;
        break;
    case SM_SIGN_CERTIFY:
        b->certify.layer_id = slot;
        b->certify.eligibility_cnt = v;
        break;
    case SM_SIGN_MARRIAGE:
        b->partner.b[0] = v;
        break;
    case SM_SIGN_BEACON_FIRST:
        b->beacon_first.epoch_id = slot;
        b->beacon_first.valid_proposals = (struct sm_scale_list){.p = "abcdefghijklmnop", .n = v & 3};
        break;
    case SM_SIGN_BEACON_NEXT:
        vote[0] = v;
        b->beacon_next.epoch_id = slot;
        b->beacon_next.round_id = 7;
        b->beacon_next.votes_bit_vector = (struct sm_scale_bytes){vote, 1};
        break;
    default:
        cr_assert_fail("kind %d", kind);
    }
    return (struct sm_sign_request){.identity = kit.id[0], .kind = kind, .body.any = b};
}

static sm_err sign(sm_sign_kind kind, uint32_t slot, uint8_t v, struct sm_errinfo *ei)
{
    union any_body b;
    struct sm_signature sig;
    const struct sm_sign_request r = make(kind, slot, v, &b);
    return sm_signer_sign(kit.signer, &r, &sig, ei);
}

Test(journal, every_kind_refuses_a_second_object)
{
    for (sm_sign_kind kind = SM_SIGN_ATX_V1; kind < SM_SIGN_KINDS; kind++) {
        union any_body one, two;
        struct sm_signature a, again, after;
        char text[512];
        kit = (struct kit){0};
        kit_open(&kit);
        const struct sm_sign_request r1 = make(kind, 10, 1, &one);
        OK(sm_signer_sign(kit.signer, &r1, &a, &ei));
        const struct sm_sign_request r2 = make(kind, 10, 2, &two);
        struct sm_sign_plan p1, p2;
        OK(sm_sign_plan_make(&kit.genesis, &r1, &p1, &ei));
        struct sm_errinfo why = {0};
        cr_assert_eq(sm_signer_sign(kit.signer, &r2, &after, &why), SM_E_REFUSED, "%s", sm_sign_kind_name(kind));
        OK(sm_sign_plan_make(&kit.genesis, &r2, &p2, &ei));
        cr_assert(strstr(why.text, sm_hex_encode(p1.entries[0].hash.b, 32, text)), "%s", why.text);
        cr_assert(strstr(why.text, sm_hex_encode(p2.entries[0].hash.b, 32, text)), "%s", why.text);
        sm_sign_plan_fini(&p1);
        sm_sign_plan_fini(&p2);
        /* The same one again, also after a restart; the other one still not. */
        sm_signer_close(kit.signer);
        OK(kit_start(&kit, &ei));
        const struct sm_sign_request r3 = make(kind, 10, 1, &one);
        OK(sm_signer_sign(kit.signer, &r3, &again, &ei));
        cr_assert_arr_eq(a.b, again.b, 64);
        const struct sm_sign_request r4 = make(kind, 10, 2, &two);
        REFUSED(SM_E_REFUSED, "signed already", sm_signer_sign(kit.signer, &r4, &after, &ei));
        /* The other identity has slots of its own (a proposal needs its own ballot, a v2 ATX its own name). */
        if (kind != SM_SIGN_PROPOSAL && kind != SM_SIGN_ATX_V2) {
            struct sm_sign_request r5 = make(kind, 10, 2, &two);
            r5.identity = kit.id[1];
            OK(sm_signer_sign(kit.signer, &r5, &after, &ei));
        }
        kit_close(&kit);
    }
}

Test(journal, versions_share_slots)
{
    static const sm_sign_kind pairs[][2] = {
        {SM_SIGN_ATX_V1, SM_SIGN_ATX_V2}, {SM_SIGN_POET_V1, SM_SIGN_POET_V2}, {SM_SIGN_HARE3, SM_SIGN_HARE4}};
    union any_body one, two;
    struct sm_signature sig;
    kit_open(&kit);
    for (size_t i = 0; i < 3; i++) {
        const struct sm_sign_request a = make(pairs[i][0], 10, 1, &one), b = make(pairs[i][1], 10, 2, &two);
        OK(sm_signer_sign(kit.signer, &a, &sig, &ei));
        REFUSED(SM_E_REFUSED, "signed already", sm_signer_sign(kit.signer, &b, &sig, &ei));
    }
    kit_close(&kit);
}

Test(journal, ascending_kinds_do_not_go_back)
{
    static const sm_sign_kind ascending[] = {SM_SIGN_ATX_V1, SM_SIGN_BALLOT};
    kit_open(&kit);
    for (size_t i = 0; i < 2; i++) {
        OK(sign(ascending[i], 10, 1, &ei));
        REFUSED(SM_E_REFUSED, "lies below 11", sign(ascending[i], 9, 1, &ei));
        OK(sign(ascending[i], 11, 1, &ei));
        OK(sign(ascending[i], 10, 1, &ei));
    }
    OK(sign(SM_SIGN_HARE3, 10, 1, &ei));
    OK(sign(SM_SIGN_HARE3, 9, 1, &ei));
    kit_close(&kit);
}

Test(journal, married_identities_share_the_merged_atx)
{
    union any_body one, two;
    struct sm_atx_id marriage = {{7}};
    struct sm_signature sig;
    kit_open(&kit);
    struct sm_sign_request a = make(SM_SIGN_ATX_V2, 10, 1, &one), b = make(SM_SIGN_ATX_V2, 10, 2, &two);
    one.atx_v2.marriage_atx = two.atx_v2.marriage_atx = &marriage;
    two.atx_v2.smesher_id = b.identity = kit.id[1];
    OK(sm_signer_sign(kit.signer, &a, &sig, &ei));
    OK(sm_signer_sign(kit.signer, &a, &sig, &ei));
    REFUSED(SM_E_REFUSED, "merged_atx", sm_signer_sign(kit.signer, &b, &sig, &ei));
    two.atx_v2.marriage_atx = NULL; /* the refusal took neither slot */
    OK(sm_signer_sign(kit.signer, &b, &sig, &ei));
    kit_close(&kit);
}

Test(journal, malformed_requests)
{
    union any_body b;
    struct sm_signature sig;
    kit_open(&kit);
    struct sm_sign_request r = make(SM_SIGN_ATX_V2, 10, 1, &b);
    b.atx_v2.smesher_id = kit.id[1];
    REFUSED(SM_E_ARG, "another identity", sm_signer_sign(kit.signer, &r, &sig, &ei));
    r = make(SM_SIGN_ATX_V1, 10, 1, &b);
    b.atx_v1.node_id = &kit.id[1];
    REFUSED(SM_E_ARG, "another identity", sm_signer_sign(kit.signer, &r, &sig, &ei));
    r = make(SM_SIGN_PROPOSAL, 10, 1, &b);
    b.proposal.ballot.signature.b[3] ^= 1;
    REFUSED(SM_E_ARG, "does not carry", sm_signer_sign(kit.signer, &r, &sig, &ei));
    for (unsigned round = 0; round < 9; round++) {
        r = make(SM_SIGN_HARE3, 10, 1, &b);
        b.hare3.iter = 1;
        b.hare3.round = (uint8_t)round;
        const sm_err err = sm_signer_sign(kit.signer, &r, &sig, NULL);
        cr_assert_eq(err, round == 3 || round == 6 || round == 7 ? SM_OK : SM_E_ARG, "round %u", round);
    }
    r = make(SM_SIGN_HARE4, 11, 1, &b);
    b.hare4.value.compact_proposals = (struct sm_scale_list){.p = "abcd", .n = 1};
    REFUSED(SM_E_ARG, "compact", sm_signer_sign(kit.signer, &r, &sig, &ei));
    r = make(SM_SIGN_HARE3, UINT32_MAX, 1, &b);
    REFUSED(SM_E_ARG, "beyond", sm_signer_sign(kit.signer, &r, &sig, &ei));
    r = make(SM_SIGN_BALLOT, 10, 1, &b);
    r.identity.b[0] ^= 1;
    REFUSED(SM_E_NOTFOUND, "no key", sm_signer_sign(kit.signer, &r, &sig, &ei));
    r.kind = SM_SIGN_KINDS;
    REFUSED(SM_E_ARG, "unknown kind", sm_signer_sign(kit.signer, &r, &sig, &ei));
    kit_close(&kit);
}

Test(journal, belongs_to_one_network_and_its_identities)
{
    struct sm_journal *j = NULL;
    struct sm_genesis_id elsewhere = {{1}};
    kit_files(&kit, 2);
    REFUSED(SM_E_MISMATCH, "9eebff02", sm_journal_open(kit.journal, &elsewhere, &j, &ei));
    /* A key the journal does not know. */
    struct sm_secret *s = seed_key(3);
    OK(sm_keyfile_write_new(kit.keys, "c.key", s, NULL, (struct sm_seal_cost){0}, &ei));
    sm_secret_free(s);
    REFUSED(SM_E_MISMATCH, "does not belong to identity", kit_start(&kit, &ei));
    cr_assert_eq(unlink(tmpdir_path(kit.keys, "c.key")), 0);
    /* A key that is gone. */
    cr_assert_eq(unlink(tmpdir_path(kit.keys, "b.key")), 0);
    REFUSED(SM_E_MISMATCH, "is missing", kit_start(&kit, &ei));
    struct sm_signer_cfg cfg = {
        .keys_dir = kit.keys, .journal_path = kit.journal, .genesis = kit.genesis, .allow_missing_keys = true};
    OK(sm_signer_open(&cfg, &kit.signer, &ei));
    sm_signer_close(kit.signer);
    /* The last one, too: it is to be found, not made anew. */
    cr_assert_eq(unlink(tmpdir_path(kit.keys, "a.key")), 0);
    REFUSED(SM_E_MISMATCH, "is missing", kit_start(&kit, &ei));
    REFUSED(SM_E_NOTFOUND, "holds no keys", sm_signer_open(&cfg, &kit.signer, &ei));
    /* A journal that is gone, or empty, or something else. */
    cr_assert_eq(unlink(kit.journal), 0);
    REFUSED(SM_E_NOTFOUND, "no signing journal", kit_start(&kit, &ei));
    file_put(kit.journal, "", 0);
    REFUSED(SM_E_FORMAT, "empty", kit_start(&kit, &ei));
    file_put(kit.journal, "this is certainly not a database, whatever else it may be .....", 60);
    REFUSED(SM_E_FORMAT, "journal", kit_start(&kit, &ei));
    tmpdir_remove(kit.dir);
}

Test(journal, one_process_at_a_time)
{
    kit_open(&kit);
    const pid_t child = fork();
    if (child == 0) {
        struct sm_journal *j = NULL;
        struct sm_keyring ring = {0};
        const bool held = sm_journal_open(kit.journal, &kit.genesis, &j, NULL) == SM_E_BUSY;
        const bool keys = sm_keyring_load(kit.keys, SM_KEYRING_OPEN, NULL, &ring, NULL) == SM_E_BUSY;
        _exit(held && keys ? 0 : 1);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    kit_close(&kit);
}

/* Copies of keys and journal, as a backup is one: nothing in the files is shared, the identity is. */
Test(journal, one_signer_per_identity)
{
    char claims[256];
    struct kit copy = {0};
    struct sm_signer *first = NULL, *second = NULL;
    tmpdir_make(claims);
    kit_files(&kit, 2);
    kit_files(&copy, 1);
    struct sm_signer_cfg cfg = {
        .keys_dir = kit.keys, .journal_path = kit.journal, .genesis = kit.genesis, .claims_dir = claims};
    struct sm_signer_cfg other = {
        .keys_dir = copy.keys, .journal_path = copy.journal, .genesis = copy.genesis, .claims_dir = claims};
    OK(sm_signer_open(&cfg, &first, &ei));
    char id[SM_HEX_ROOM(32)];
    REFUSED(SM_E_BUSY, sm_hex_encode(copy.id[0].b, 32, id), sm_signer_open(&other, &second, &ei));
    sm_signer_close(first);
    OK(sm_signer_open(&other, &second, &ei));
    /* The second of two identities is held: the first must be free again afterwards. */
    REFUSED(SM_E_BUSY, "one signer per identity", sm_signer_open(&cfg, &first, &ei));
    sm_signer_close(second);
    /* What ends a process ends its claim. */
    const pid_t child = fork();
    if (child == 0) {
        if (sm_signer_open(&cfg, &first, NULL)) _exit(1);
        raise(SIGKILL);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    OK(sm_signer_open(&cfg, &first, &ei));
    sm_signer_close(first);
    /* Without a directory to claim in, there is a warning only. */
    cfg.claims_dir = tmpdir_path(claims, "missing");
    OK(sm_signer_open(&cfg, &first, &ei));
    sm_signer_close(first);
    tmpdir_remove(claims);
    tmpdir_remove(copy.dir);
    tmpdir_remove(kit.dir);
}

/* ---- interchange ---- */

static char *export_all(struct kit *k)
{
    struct sm_journal *j = NULL;
    char *text = NULL;
    OK(sm_journal_open(k->journal, &k->genesis, &j, &ei));
    OK(sm_journal_export(j, &text, &ei));
    sm_journal_close(j);
    return text;
}

Test(journal, export_and_import_protect_the_same)
{
    struct kit from;
    kit_open(&kit);
    for (sm_sign_kind kind = SM_SIGN_ATX_V1; kind < SM_SIGN_KINDS; kind++)
        if (kind != SM_SIGN_ATX_V2 && kind != SM_SIGN_POET_V2 && kind != SM_SIGN_HARE4 &&
            kind != SM_SIGN_BALLOT) /* the proposal brings its ballot */
            OK(sign(kind, 10, 1, &ei));
    sm_signer_close(kit.signer);
    char *text = export_all(&kit);
    from = kit;
    kit = (struct kit){0};
    kit_files(&kit, 2);
    struct sm_journal *j = NULL;
    uint64_t rows = 0;
    OK(sm_journal_open(kit.journal, &kit.genesis, &j, &ei));
    OK(sm_journal_import(j, text, strlen(text), &rows, &ei));
    cr_assert_eq(rows, 9u);
    OK(sm_journal_import(j, text, strlen(text), &rows, &ei));
    cr_assert_eq(rows, 0u);
    sm_journal_close(j);
    char *again = export_all(&kit);
    cr_assert_str_eq(text, again);
    OK(kit_start(&kit, &ei));
    OK(sign(SM_SIGN_HARE3, 10, 1, &ei));
    REFUSED(SM_E_REFUSED, "signed already", sign(SM_SIGN_HARE3, 10, 2, &ei));
    REFUSED(SM_E_REFUSED, "lies below", sign(SM_SIGN_HARE3, 9, 2, &ei));
    REFUSED(SM_E_REFUSED, "lies below", sign(SM_SIGN_CERTIFY, 3, 2, &ei));
    OK(sign(SM_SIGN_HARE3, 11, 1, &ei));
    free(text);
    free(again);
    tmpdir_remove(from.dir);
    kit_close(&kit);
}

Test(journal, import_is_all_or_nothing_and_strict)
{
    static const char head[] =
        "{\"metadata\":{\"interchange_format\":\"spacemesh-signing-journal\","
        "\"interchange_format_version\":1,\"genesis_id\":\"%s\"},\"data\":[{\"subject\":\"%064d\","
        "\"minimal_slots\":[%s],\"signed\":[%s]}]}";
    static const char row[] = "{\"kind\":\"ballot\",\"slot\":5,\"hash\":"
                              "\"0101010101010101010101010101010101010101010101010101010101010101\"}";
    static const struct {
        const char *genesis, *minimal, *rows, *part;
        sm_err err;
    } cases[] = {
        {"0000000000000000000000000000000000000000", "", "", "genesis ID", SM_E_MISMATCH},
        {"9eebff023abb17ccb775c602daade8ed708f0a5", "", "", "40 hex", SM_E_FORMAT},
        {NULL, "{\"kind\":\"ballot\"}", "", "minimal_slots[0]: slot", SM_E_FORMAT},
        {NULL, "{\"kind\":\"bullet\",\"slot\":1}", "", "kind", SM_E_FORMAT},
        {NULL, "{\"kind\":\"ballot\",\"slot\":-1}", "", "slot", SM_E_FORMAT},
        {NULL, "{\"kind\":\"ballot\",\"slot\":1,\"round\":1}", "", "round", SM_E_FORMAT},
        {NULL, "{\"kind\":\"hare\",\"slot\":1}", "", "round", SM_E_FORMAT},
        {NULL, "{\"kind\":\"hare\",\"slot\":4294967296,\"round\":1}", "", "slot", SM_E_FORMAT},
        {NULL, "{\"kind\":\"ballot\",\"slot\":1,\"more\":1}", "", "unknown members", SM_E_FORMAT},
        {NULL, "", "{\"kind\":\"ballot\",\"slot\":6,\"hash\":\"00\"}", "hash", SM_E_FORMAT},
        {NULL, "", "{\"kind\":\"ballot\",\"slot\":6}", "unknown members", SM_E_FORMAT},
        {NULL, "", "1", "kind", SM_E_FORMAT},
    };
    struct sm_journal *j = NULL;
    uint64_t rows = 0;
    char text[2048];
    kit_files(&kit, 1);
    char *before = export_all(&kit);
    OK(sm_journal_open(kit.journal, &kit.genesis, &j, &ei));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char list[1024]; /* a good row before the bad one must not stay */
        snprintf(list, sizeof list, "%s%s%s", row, cases[i].rows[0] ? "," : "", cases[i].rows);
        snprintf(text, sizeof text, head,
                 cases[i].genesis ? cases[i].genesis : "9eebff023abb17ccb775c602daade8ed708f0a50", 5, cases[i].minimal,
                 list);
        REFUSED(cases[i].err, cases[i].part, sm_journal_import(j, text, strlen(text), &rows, &ei));
    }
    REFUSED(SM_E_FORMAT, "line 1", sm_journal_import(j, "{", 1, &rows, &ei));
    struct sm_journal_entry e = {.slot = {.kind = SM_SLOT_BALLOT, .n = 5}, .hash = other_hash};
    char *mid = NULL;
    OK(sm_journal_export(j, &mid, &ei));
    cr_assert_str_eq(before, mid);
    e.slot.subject.b[31] = 5;
    OK(sm_journal_record(j, &e, 1, &ei));
    snprintf(text, sizeof text, head, "9eebff023abb17ccb775c602daade8ed708f0a50", 5, "", row);
    REFUSED(SM_E_MISMATCH, "0900000000", sm_journal_import(j, text, strlen(text), &rows, &ei));
    free(mid);
    free(before);
    sm_journal_close(j);
    tmpdir_remove(kit.dir);
}

/* ---- many threads ---- */

#define THREADS 8
#define SLOTS   40
static struct sm_journal *shared;
static atomic_int winners[SLOTS], repeats;

static void *compete(void *arg)
{
    const uint8_t me = (uint8_t)(size_t)arg;
    for (unsigned n = 0; n < SLOTS; n++) {
        const struct sm_journal_entry e = {.slot = {.kind = SM_SLOT_HARE, .n = n}, .hash.b = {(uint8_t)(me / 2)}};
        const sm_err err = sm_journal_record(shared, &e, 1, NULL);
        if (!err)
            atomic_fetch_or(&winners[n], 1 << (me / 2));
        else
            cr_assert_eq(err, SM_E_REFUSED);
        if (!err) atomic_fetch_add(&repeats, 1);
    }
    return NULL;
}

Test(journal, threads_agree_on_one_hash)
{
    pthread_t t[THREADS];
    kit_files(&kit, 1);
    OK(sm_journal_open(kit.journal, &kit.genesis, &shared, &ei));
    for (size_t i = 0; i < THREADS; i++) cr_assert_eq(pthread_create(&t[i], NULL, compete, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++) cr_assert_eq(pthread_join(t[i], NULL), 0);
    for (unsigned n = 0; n < SLOTS; n++) cr_assert_eq(__builtin_popcount((unsigned)winners[n]), 1, "slot %u", n);
    cr_assert_eq(repeats, 2 * SLOTS); /* two threads share each hash */
    sm_journal_close(shared);
    tmpdir_remove(kit.dir);
}
