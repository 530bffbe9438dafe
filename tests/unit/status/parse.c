/* /v1/status there and back; and everything that is not it. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>

#include "kit.h"
#include "status/format.h"
#include "status/parse.h"

static char *text_of(const struct sm_status_snapshot *s, size_t *n)
{
    struct sm_errinfo ei = {0};
    char *text;
    cr_assert_eq(sm_status_format_json(s, &text, n, &ei), SM_OK, "%s", ei.text);
    return text;
}

/* A text that was once cleaned and cut stays as it is: then reading and writing are inverse to each other. */
Test(parse, random_snapshots_survive)
{
    uint64_t r = kit_seed();
    for (int round = 0; round < 300; round++) {
        struct sm_status_snapshot s, back, again;
        struct sm_errinfo ei = {0};
        size_t n, m;
        kit_random_snapshot(&s, &r);
        char *first = text_of(&s, &n);
        cr_assert_eq(sm_status_parse(first, n, &back, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(back.identities_n, s.identities_n);
        cr_assert_eq(back.errors_n, s.errors_n);
        for (size_t i = 0; i < s.identities_n; i++) {
            const struct sm_status_identity *a = &s.identities[i], *b = &back.identities[i];
            cr_assert_arr_eq(a->node_id.b, b->node_id.b, 32);
            cr_assert_eq(a->phase, b->phase);
            cr_assert_eq(a->link, b->link);
            cr_assert_eq(a->has_challenge, b->has_challenge);
            cr_assert_eq(a->disks_n, b->disks_n);
            cr_assert_eq(a->bytes_done, b->bytes_done);
            cr_assert_eq(a->tries, b->tries);
            cr_assert_eq(a->deadline_unix_s, b->deadline_unix_s);
            cr_assert_eq(a->hashes.s900, b->hashes.s900);
            cr_assert_eq(a->eta_s, b->eta_s);
        }
        char *second = text_of(&back, &n);
        cr_assert_eq(sm_status_parse(second, n, &again, &ei), SM_OK, "%s", ei.text);
        char *third = text_of(&again, &m);
        cr_assert_eq(n, m);
        cr_assert_str_eq(second, third);
        free(first);
        free(second);
        free(third);
        sm_status_snapshot_fini(&s);
        sm_status_snapshot_fini(&back);
        sm_status_snapshot_fini(&again);
    }
}

Test(parse, plain_texts_come_back_unchanged)
{
    struct sm_status_snapshot s, back;
    size_t n, m;
    kit_usual(&s);
    char *first = text_of(&s, &n);
    cr_assert_eq(sm_status_parse(first, n, &back, NULL), SM_OK);
    char *second = text_of(&back, &m);
    cr_assert_str_eq(first, second);
    free(first);
    free(second);
    sm_status_snapshot_fini(&s);
    sm_status_snapshot_fini(&back);
}

Test(parse, cut_documents_are_refused)
{
    struct sm_status_snapshot s, back;
    size_t n;
    kit_usual(&s);
    char *text = text_of(&s, &n);
    for (size_t cut = 0; cut < n; cut++) {
        struct sm_errinfo ei = {0};
        cr_assert_eq(sm_status_parse(text, cut, &back, &ei), SM_E_FORMAT, "at %zu", cut);
        cr_assert_neq(ei.text[0], '\0');
    }
    free(text);
    sm_status_snapshot_fini(&s);
}

static bool is_derived(const char *key)
{
    return strcmp(key, "percent") == 0 || strcmp(key, "estimated_end_unix_s") == 0;
}

/* Calls with each object of the document, the document included. */
static void each_object(json_t *v, void (*visit)(json_t *document, json_t *object), json_t *document)
{
    const char *key;
    json_t *member;
    if (json_is_object(v)) {
        visit(document, v);
        json_object_foreach(v, key, member) each_object(member, visit, document);
    }
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        each_object(json_array_get(v, i), visit, document);
}

static unsigned refused;

static void expect_refusal(json_t *document, const char *key, const char *how)
{
    struct sm_errinfo ei = {0};
    struct sm_status_snapshot back;
    char *text = json_dumps(document, JSON_COMPACT);
    const sm_err err = sm_status_parse(text, strlen(text), &back, &ei);
    cr_assert(err == SM_E_FORMAT || err == SM_E_MISMATCH, "%s %s: %s", key, how, sm_err_name(err));
    cr_assert_neq(ei.text[0], '\0');
    free(text);
    refused++;
}

/* Each member once missing, once of a type that none has here. */
static void without_each_member(json_t *document, json_t *object)
{
    char keys[64][32];
    size_t n = 0;
    const char *key;
    json_t *member;
    json_object_foreach(object, key, member)(void) snprintf(keys[n++], sizeof keys[0], "%s", key);
    for (size_t i = 0; i < n; i++) {
        if (is_derived(keys[i])) continue;
        json_t *kept = json_incref(json_object_get(object, keys[i]));
        json_object_del(object, keys[i]);
        expect_refusal(document, keys[i], "missing");
        json_object_set_new(object, keys[i], json_integer(-1));
        expect_refusal(document, keys[i], "negative");
        json_object_set_new(object, keys[i], json_pack("[[]]"));
        expect_refusal(document, keys[i], "an odd list");
        json_object_set_new(object, keys[i], kept);
    }
}

Test(parse, every_member_is_checked)
{
    struct sm_status_snapshot s;
    size_t n;
    kit_usual(&s);
    strcpy(sm_status_add_skipped(&s)->dir, "/mnt/c");
    char *text = text_of(&s, &n);
    json_t *document = json_loadb(text, n, 0, NULL);
    each_object(document, without_each_member, document);
    cr_assert_gt(refused, 200, "%u", refused);
    json_decref(document);
    free(text);
    sm_status_snapshot_fini(&s);
}

Test(parse, new_members_are_ignored_and_other_schemas_refused)
{
    struct sm_status_snapshot s, back;
    struct sm_errinfo ei = {0};
    size_t n;
    kit_usual(&s);
    char *text = text_of(&s, &n);
    json_t *document = json_loadb(text, n, 0, NULL);
    free(text);
    json_object_set_new(json_array_get(json_object_get(document, "identities"), 0), "mood", json_string("good"));
    text = json_dumps(document, 0);
    cr_assert_eq(sm_status_parse(text, strlen(text), &back, &ei), SM_OK, "%s", ei.text);
    sm_status_snapshot_fini(&back);
    free(text);
    json_object_set_new(document, "schema", json_integer(2));
    text = json_dumps(document, 0);
    cr_assert_eq(sm_status_parse(text, strlen(text), &back, &ei), SM_E_MISMATCH);
    free(text);
    json_decref(document);
    sm_status_snapshot_fini(&s);
}

Test(parse, too_many_rows_are_refused)
{
    struct sm_status_snapshot s = {0}, back;
    struct sm_errinfo ei = {0};
    size_t n;
    while (s.disks_n <= SM_STATUS_ROWS_MAX) cr_assert_not_null(sm_status_add_disk(&s));
    char *text = text_of(&s, &n);
    cr_assert_eq(sm_status_parse(text, n, &back, &ei), SM_E_FORMAT);
    free(text);
    s.disks_n--;
    text = text_of(&s, &n);
    cr_assert_eq(sm_status_parse(text, n, &back, &ei), SM_OK, "%s", ei.text);
    free(text);
    sm_status_snapshot_fini(&back);
    sm_status_snapshot_fini(&s);
}

Test(parse, bytes_changed_at_random_never_crash)
{
    uint64_t r = kit_seed();
    struct sm_status_snapshot s, back;
    size_t n;
    kit_usual(&s);
    char *text = text_of(&s, &n);
    char *copy = malloc(n);
    for (int round = 0; round < 3000; round++) {
        memcpy(copy, text, n);
        for (uint64_t k = 1 + kit_random(&r) % 4; k; k--) copy[kit_random(&r) % n] = (char)kit_random(&r);
        if (sm_status_parse(copy, n, &back, NULL) == SM_OK) sm_status_snapshot_fini(&back);
    }
    free(copy);
    free(text);
    sm_status_snapshot_fini(&s);
}
