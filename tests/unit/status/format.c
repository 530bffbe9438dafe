/* /status to the byte, and /v1/status as others read it. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>

#include "kit.h"
#include "status/format.h"
#include "status/utf8.h"
#include "support/vectors.h"

static void expect_reference(const struct sm_status_snapshot *s, const char *body)
{
    struct sm_errinfo ei = {0};
    char *text;
    size_t n;
    cr_assert_eq(sm_status_format_reference(s, &text, &n, &ei), SM_OK, "%s", ei.text);
    cr_assert_str_eq(text, body);
    cr_assert_eq(n, strlen(body));
    free(text);
}

Test(format, status_of_one_identity_is_the_references)
{
    json_t *root = vec_load("status-reference.json");
    const json_t *cases = vec_get(root, "cases");
    cr_assert_eq(json_array_size(cases), 11);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        struct sm_status_snapshot s = {0};
        struct sm_status_identity *id = sm_status_add_identity(&s);
        cr_assert(sm_status_phase_of(vec_str(c, "phase"), &id->phase));
        id->last_fetched = json_is_true(vec_get(c, "fetched"));
        id->nonce_first = (uint32_t)vec_u64(c, "start");
        id->nonce_end = (uint32_t)vec_u64(c, "end");
        id->bytes_done = vec_u64(c, "read");
        expect_reference(&s, vec_str(c, "body"));
        sm_status_snapshot_fini(&s);
    }
    json_decref(root);
}

Test(format, longest_reference_fits)
{
    char out[SM_STATUS_REFERENCE_ROOM];
    const struct sm_status_identity id = {
        .phase = SM_STATUS_READING, .nonce_first = UINT32_MAX, .nonce_end = UINT32_MAX, .bytes_done = UINT64_MAX};
    cr_assert_str_eq(sm_status_reference(&id, out),
                     "{\"Proving\":{\"nonces\":{\"start\":4294967295,\"end\":4294967295},"
                     "\"position\":18446744073709551615}}");
}

Test(format, status_of_none_and_several)
{
    struct sm_status_snapshot s = {0};
    expect_reference(&s, "{}");
    kit_usual(&s);
    expect_reference(&s,
                     "{\"abababababababababababababababababababababababababababababababab\":{\"Proving\":{\"nonces\":"
                     "{\"start\":0,\"end\":288},\"position\":68719476736}},"
                     "\"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\":\"DoneProving\"}");
    sm_status_snapshot_fini(&s);
}

Test(format, json_has_what_was_put_in)
{
    struct sm_status_snapshot s;
    struct sm_errinfo ei = {0};
    char *text, *nonces = NULL;
    size_t n;
    kit_usual(&s);
    cr_assert_eq(sm_status_format_json(&s, &text, &n, &ei), SM_OK, "%s", ei.text);
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_eq(json_integer_value(json_object_get(root, "schema")), 1);
    const json_t *a = json_array_get(json_object_get(root, "identities"), 0);
    const json_t *b = json_array_get(json_object_get(root, "identities"), 1);
    cr_assert_str_eq(json_string_value(json_object_get(a, "phase")), "reading");
    cr_assert_eq(json_real_value(json_object_get(a, "percent")), 25);
    cr_assert_eq(json_integer_value(json_object_get(a, "estimated_end_unix_s")), 1700004635);
    nonces = json_dumps(json_object_get(a, "nonces"), JSON_COMPACT | JSON_SORT_KEYS);
    cr_assert_str_eq(nonces, "{\"end\":288,\"start\":0}");
    cr_assert(json_is_null(json_object_get(b, "challenge")));
    cr_assert(json_is_null(json_object_get(b, "eta_s")));
    cr_assert(json_is_null(json_object_get(b, "estimated_end_unix_s")));
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(b, "link"), "state")), "rejected");
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(b, "link"), "reason")), "duplicate");
    cr_assert(json_is_true(json_object_get(json_array_get(json_object_get(root, "devices"), 1), "quarantined")));
    cr_assert_eq(json_array_size(json_object_get(root, "errors")), 1);
    free(nonces);
    json_decref(root);
    free(text);
    sm_status_snapshot_fini(&s);
}

Test(format, bytes_that_are_no_utf8_are_replaced)
{
    char out[64];
    cr_assert_str_eq(sm_utf8_clean("a\xffz", out, sizeof out), "a\xef\xbf\xbdz");
    cr_assert_str_eq(sm_utf8_clean("\xed\xa0\x80", out, sizeof out), /* a surrogate */
                     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    cr_assert_str_eq(sm_utf8_clean("\xc0\xaf", out, sizeof out), "\xef\xbf\xbd\xef\xbf\xbd"); /* overlong */
    cr_assert_str_eq(sm_utf8_clean("\xf4\x90\x80\x80", out, sizeof out),
                     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    cr_assert_str_eq(sm_utf8_clean("\xe2\x82", out, sizeof out), "\xef\xbf\xbd\xef\xbf\xbd"); /* cut off */
    cr_assert_str_eq(sm_utf8_clean("\xf0\x9f\xa6\x80", out, sizeof out), "\xf0\x9f\xa6\x80");
    cr_assert_str_eq(sm_utf8_clean("ab\xc3\xa4", out, 4), "ab");
}

Test(format, percent)
{
    struct sm_status_identity id = {.phase = SM_STATUS_K2POW, .groups_done = 1, .groups_total = 4};
    cr_assert_eq(sm_status_percent(&id), 25);
    id.groups_total = 0;
    cr_assert_lt(sm_status_percent(&id), 0);
    id = (struct sm_status_identity){.phase = SM_STATUS_READING, .bytes_done = 9, .bytes_total = 3};
    cr_assert_eq(sm_status_percent(&id), 100);
    id.phase = SM_STATUS_QUEUED;
    cr_assert_lt(sm_status_percent(&id), 0);
}

Test(format, find)
{
    struct sm_status_snapshot s;
    kit_usual(&s);
    cr_assert_eq(sm_status_find(&s, "beta"), &s.identities[1]);
    cr_assert_eq(sm_status_find(&s, "ABABABABAB"), &s.identities[0]);
    cr_assert_null(sm_status_find(&s, "ababababa")); /* too short */
    cr_assert_null(sm_status_find(&s, ""));
    strcpy(s.identities[1].name, "alpha");
    cr_assert_null(sm_status_find(&s, "alpha")); /* which one? */
    sm_status_snapshot_fini(&s);
}
