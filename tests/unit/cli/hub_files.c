/* The files of the hub: allow lists, pairs, and proofs that never replace anything. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hub_files.h"
#include "support/tmpdir.h"

#define A "aa11111111111111111111111111111111111111111111111111111111111111"
#define B "BB22222222222222222222222222222222222222222222222222222222222222"

static char dir[256];

static void setup(void)
{
    tmpdir_make(dir);
}
TestSuite(hub_files, .init = setup);

static sm_err read_text(const char *text, struct sm_post_known **out, size_t *n, struct sm_errinfo *ei)
{
    const char *path = tmpdir_path(dir, "allow");
    file_put(path, text, strlen(text));
    return sm_hub_read_allow(path, out, n, ei);
}

Test(hub_files, an_allow_list_is_read)
{
    struct sm_post_known *k = NULL;
    size_t n = 0;
    struct sm_errinfo ei = {0};
    cr_assert_eq(
        read_text("# rigs\n\n  " A "\tname=post0.key # first\r\n" B " san=DNS:rig fingerprint=" A, &k, &n, &ei), SM_OK,
        "%s", ei.text);
    cr_assert_eq(n, 2);
    cr_assert_eq(k[0].id.b[0], 0xaa);
    cr_assert_str_eq(k[0].name, "post0.key");
    cr_assert_str_eq(k[0].san, "");
    cr_assert_eq(k[1].id.b[0], 0xbb);
    cr_assert_str_eq(k[1].san, "DNS:rig");
    cr_assert_str_eq(k[1].fingerprint, A);
    free(k);
    cr_assert_eq(read_text("", &k, &n, &ei), SM_OK);
    cr_assert_eq(n, 0);
    free(k);
}

Test(hub_files, what_is_wrong_in_an_allow_list_is_named_with_its_line)
{
    static const char *const rows[][2] = {
        {"\nabc", "allow:2: a line begins with a node ID"},
        {A " color=red", "color"},
        {A " name=", "name needs a value"},
        {A " fingerprint=12", "64 hex digits"},
        {A " alone", "alone"},
        {A A, "node ID"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sm_post_known *k = NULL;
        size_t n = 0;
        struct sm_errinfo ei = {0};
        cr_assert_eq(read_text(rows[i][0], &k, &n, &ei), SM_E_FORMAT);
        cr_assert(strstr(ei.text, rows[i][1]), "%s", ei.text);
    }
    struct sm_post_known *k = NULL;
    size_t n = 0;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_hub_read_allow(tmpdir_path(dir, "none"), &k, &n, &ei), SM_E_NOTFOUND);
    file_put(tmpdir_path(dir, "nul"), "a\0b", 3);
    cr_assert_eq(sm_hub_read_allow(tmpdir_path(dir, "nul"), &k, &n, &ei), SM_E_FORMAT);
}

Test(hub_files, pairs)
{
    struct sm_node_id id;
    struct sm_challenge c;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_hub_parse_pair(A ":" B, "--request", &id, &c, &ei), SM_OK);
    cr_assert_eq(id.b[0], 0xaa);
    cr_assert_eq(c.b[0], 0xbb);
    cr_assert_eq(sm_hub_parse_pair(A " " B, "request", &id, &c, &ei), SM_OK);
    cr_assert_eq(sm_hub_parse_pair(A ":" B "0", "--request", &id, &c, &ei), SM_E_ARG);
    cr_assert_eq(sm_hub_parse_pair(A "-" B, "--request", &id, &c, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "--request"), "%s", ei.text);
    cr_assert_eq(sm_hub_parse_pair("x" A B, "--request", &id, &c, &ei), SM_E_ARG);
}

static struct sm_post_verified proof(void)
{
    return (struct sm_post_verified){
        .proof = {.nonce = 1, .pow = 2, .indices_n = 3, .indices = {4, 5, 6}},
        .meta = {.node_id = {{1}}, .challenge = {{2}}, .num_units = 4, .labels_per_unit = 256}};
}

Test(hub_files, a_proof_is_stored_once_and_found_again)
{
    const struct sm_post_verified v = proof();
    char path[SM_HUB_PATH_ROOM], part[SM_HUB_PATH_ROOM + 8];
    bool has = true;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_hub_has_proof(dir, &v.meta.node_id, &v.meta.challenge, &has, &ei), SM_OK);
    cr_assert_not(has);
    cr_assert_eq(sm_hub_store_proof(dir, &v, path, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_hub_has_proof(dir, &v.meta.node_id, &v.meta.challenge, &has, &ei), SM_OK);
    cr_assert(has);
    const int64_t size = file_size(path);
    struct sm_post_verified other = v;
    other.proof.pow = 123456789;
    cr_assert_eq(sm_hub_store_proof(dir, &other, path, &ei), SM_E_MISMATCH);
    cr_assert_eq(file_size(path), size, "never overwritten");
    (void)snprintf(part, sizeof part, "%s.part", path);
    cr_assert_eq(file_size(part), -1);
}

Test(hub_files, another_file_of_that_name_is_left_alone)
{
    const struct sm_post_verified v = proof();
    char path[SM_HUB_PATH_ROOM], other[SM_HUB_PATH_ROOM];
    bool has;
    struct sm_errinfo ei = {0};
    const struct sm_challenge c = {{3}};
    cr_assert_eq(sm_hub_store_proof(dir, &v, path, &ei), SM_OK);
    cr_assert_eq(sm_hub_proof_path(dir, &v.meta.node_id, &c, other, &ei), SM_OK);
    cr_assert_eq(rename(path, other), 0);
    cr_assert_eq(sm_hub_has_proof(dir, &v.meta.node_id, &c, &has, &ei), SM_E_MISMATCH);
    cr_assert(strstr(ei.text, "left as it is"), "%s", ei.text);
    file_put(path, "{}", 2);
    cr_assert_eq(sm_hub_has_proof(dir, &v.meta.node_id, &v.meta.challenge, &has, &ei), SM_E_MISMATCH);
}
