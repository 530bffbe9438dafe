/* postdata_metadata.json: both dialects, bad input, the backup, and crashes while saving. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "post/metadata.h"
#include "support/faultio.h"
#include "support/tmpdir.h"
#include "util/log.h"

/* post.md §3.2, as Go writes it */
static const char go_text[] = "{\n"
                              "\t\"NodeId\": \"d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3c=\",\n"
                              "\t\"CommitmentAtxId\": \"iIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIg=\",\n"
                              "\t\"LabelsPerUnit\": 128,\n"
                              "\t\"NumUnits\": 2,\n"
                              "\t\"MaxFileSize\": 4294967296,\n"
                              "\t\"Nonce\": 246,\n"
                              "\t\"NonceValue\": \"0005802b750e6627f4b430479841bdda\"\n"
                              "}";

static sm_err decode(const char *text, struct sm_metadata *m, struct sm_errinfo *ei)
{
    return sm_metadata_decode(text, strlen(text), "dir/postdata_metadata.json", m, ei);
}

/* The Go text with one member replaced ("\"NumUnits\": 2" -> with), or removed when `with` is empty. */
static char *with(const char *member, const char *replacement)
{
    static char out[4096];
    const char *at = strstr(go_text, member);
    cr_assert_not_null(at, "%s", member);
    size_t skip = strlen(member);
    if (!*replacement && at[skip] == ',') skip++;
    (void)snprintf(out, sizeof out, "%.*s%s%s", (int)(at - go_text), go_text, replacement, at + skip);
    return out;
}

Test(metadata, go_form_is_reproduced_byte_for_byte)
{
    struct sm_metadata m;
    struct sm_errinfo ei = {0};
    char *text = NULL;
    cr_assert_eq(decode(go_text, &m, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(m.version, 0);
    cr_assert_eq(m.node_id.b[31], 0x77);
    cr_assert_eq(m.commitment_atx_id.b[0], 0x88);
    cr_assert_eq(m.labels_per_unit, 128);
    cr_assert_eq(m.num_units, 2);
    cr_assert_eq(m.max_file_size, UINT64_C(4294967296));
    cr_assert(m.has_nonce && m.nonce == 246);
    cr_assert(m.has_nonce_value && m.nonce_value[1] == 0x05 && m.nonce_value[15] == 0xda);
    cr_assert(!m.has_scrypt && !m.has_last_position && !m.extra);
    cr_assert_eq(sm_metadata_encode(&m, &text, &ei), SM_OK);
    cr_assert_str_eq(text, go_text);
    free(text);
    sm_metadata_fini(&m);
}

Test(metadata, rust_form_reads)
{
    static const char rust[] = "{\n  \"NodeId\": \"d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3c=\",\n"
                               "  \"CommitmentAtxId\": \"iIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIg=\",\n"
                               "  \"LabelsPerUnit\": 128,\n  \"NumUnits\": 2,\n  \"MaxFileSize\": 4096,\n"
                               "  \"Nonce\": null,\n  \"LastPosition\": null\n}\n";
    struct sm_metadata m;
    struct sm_errinfo ei = {0};
    cr_assert_eq(decode(rust, &m, &ei), SM_OK, "%s", ei.text);
    cr_assert(!m.has_nonce && !m.has_last_position && !m.has_nonce_value);
    cr_assert_eq(m.max_file_size, 4096);
    sm_metadata_fini(&m);
}

Test(metadata, version_scrypt_and_unknown_members_survive)
{
    static const char text[] =
        "{\n"
        "\t\"Version\": 1,\n"
        "\t\"NodeId\": \"d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3c=\",\n"
        "\t\"CommitmentAtxId\": \"iIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIg=\",\n"
        "\t\"LabelsPerUnit\": 128,\n"
        "\t\"NumUnits\": 2,\n"
        "\t\"MaxFileSize\": 4096,\n"
        "\t\"Scrypt\": {\n\t\t\"N\": 8192,\n\t\t\"R\": 1,\n\t\t\"P\": 1\n\t},\n"
        "\t\"Nonce\": 18446744073709551615,\n"
        "\t\"NonceValue\": \"0005802b750e6627f4b430479841bdda\",\n"
        "\t\"LastPosition\": 9223372036854775808,\n"
        "\t\"Future\": {\"big\":18446744073709551616,\"f\":1.50e3,\"s\":\"a \\\" \\u00e9, b\"},\n"
        "\t\"Other\\n\": [1,2,[]]\n"
        "}";
    struct sm_metadata m;
    struct sm_errinfo ei = {0};
    char *again = NULL;
    cr_assert_eq(decode(text, &m, &ei), SM_OK, "%s", ei.text);
    cr_assert(m.version == 1 && m.has_scrypt && m.scrypt_n == 8192 && m.scrypt_r == 1 && m.scrypt_p == 1);
    cr_assert_eq(m.nonce, UINT64_MAX);
    cr_assert_eq(m.last_position, UINT64_C(1) << 63);
    cr_assert_str_eq(m.extra, "{\"Future\":{\"big\":18446744073709551616,\"f\":1.50e3,\"s\":\"a \\\" \\u00e9, b\"},"
                              "\"Other\\n\":[1,2,[]]}");
    cr_assert_eq(sm_metadata_encode(&m, &again, &ei), SM_OK);
    cr_assert_str_eq(again, text);
    free(again);
    sm_metadata_fini(&m);
}

Test(metadata, names_match_in_any_case)
{
    struct sm_metadata m;
    struct sm_errinfo ei = {0};
    cr_assert_eq(decode(with("\"NumUnits\": 2", "\"numunits\": 7"), &m, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(m.num_units, 7);
    cr_assert_null(m.extra);
    sm_metadata_fini(&m);
    cr_assert_eq(decode(with("\"NumUnits\": 2", "\"Num\\u0055nits\": 8"), &m, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(m.num_units, 8);
    sm_metadata_fini(&m);
}

struct bad {
    const char *member, *replacement, *says;
};

Test(metadata, bad_members_are_named)
{
    static const char id[] = "\"NodeId\": \"d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3c=\"";
    static const struct bad bad[] = {
        {id, "", "NodeId is missing"},
        {id, "\"NodeId\": null", "NodeId is missing"},
        {id, "\"NodeId\": 5", "NodeId is not a string"},
        {id, "\"NodeId\": \"d3d3\"", "NodeId: "},
        {id, "\"NodeId\": \"d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3\"", "NodeId: "},
        {id, "\"NodeId\": \"d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3c\"", "NodeId: "},
        {id, "\"NodeId\": \"d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3c=\\u0000\"", "NodeId is not a string"},
        {"\"CommitmentAtxId\": \"iIiI", "\"CommitmentAtxId\": \"*Ii", "CommitmentAtxId: "},
        {"\"NumUnits\": 2", "\"NumUnits\": 0", "NumUnits is 0"},
        {"\"NumUnits\": 2", "\"NumUnits\": -2", "NumUnits is -2"},
        {"\"NumUnits\": 2", "\"NumUnits\": 2.0", "NumUnits is 2.0"},
        {"\"NumUnits\": 2", "\"NumUnits\": \"2\"", "NumUnits is \"2\""},
        {"\"NumUnits\": 2", "\"NumUnits\": 4294967296", "NumUnits is 4294967296"},
        {"\"NumUnits\": 2", "\"NumUnits\": 2,\n\"numunits\": 3", "NumUnits appears twice"},
        {"\"NumUnits\": 2", "", "NumUnits is missing"},
        {"\"LabelsPerUnit\": 128", "\"LabelsPerUnit\": 0", "LabelsPerUnit is 0"},
        {"\"LabelsPerUnit\": 128", "\"LabelsPerUnit\": 9223372036854775808", "NumUnits 2 times LabelsPerUnit"},
        {"\"LabelsPerUnit\": 128", "\"LabelsPerUnit\": 1152921504606846976", "NumUnits 2 times LabelsPerUnit"},
        {"\"LabelsPerUnit\": 128", "\"LabelsPerUnit\": 18446744073709551616", "LabelsPerUnit is 18446744073709551616"},
        {"\"MaxFileSize\": 4294967296", "\"MaxFileSize\": 0", "MaxFileSize is 0"},
        {"\"MaxFileSize\": 4294967296", "\"MaxFileSize\": 15", "MaxFileSize is 15"},
        {"\"Nonce\": 246", "\"Nonce\": 1e3", "Nonce is 1e3"},
        {"\"Nonce\": 246", "\"Nonce\": 18446744073709551616", "Nonce is"},
        {"\"NonceValue\": \"0005", "\"NonceValue\": \"00 5", "NonceValue: "},
        {"\"NonceValue\": \"0005", "\"NonceValue\": \"005", "NonceValue: "},
        {"\"Nonce\": 246", "\"Scrypt\": {\"N\": 8192, \"R\": 1}", "Scrypt is not"},
        {"\"Nonce\": 246", "\"Scrypt\": 8192", "Scrypt is not"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sm_metadata m;
        struct sm_errinfo ei = {0};
        cr_expect_eq(decode(with(bad[i].member, bad[i].replacement), &m, &ei), SM_E_FORMAT, "%zu: %s", i,
                     bad[i].replacement);
        cr_expect(strstr(ei.text, bad[i].says) && strstr(ei.text, "dir/postdata_metadata.json"), "%zu: '%s' lacks '%s'",
                  i, ei.text, bad[i].says);
    }
}

Test(metadata, text_that_is_no_object)
{
    static const char *const bad[] = {
        "",
        " \n",
        "null",
        "[]",
        "7",
        "{",
        "{}x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"b}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "\xef\xbb\xbf{}",
    };
    struct sm_metadata m;
    struct sm_errinfo ei = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(decode(bad[i], &m, &ei), SM_E_FORMAT, "%zu: %s", i, bad[i]);
    for (size_t n = 0; n + 1 < sizeof go_text; n++) /* every truncation */
        cr_expect_eq(sm_metadata_decode(go_text, n, "x", &m, &ei), SM_E_FORMAT, "%zu", n);
    cr_expect_eq(sm_metadata_decode(go_text, sizeof go_text, "x", &m, &ei), SM_E_FORMAT, "a NUL behind it");
    char deep[256];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"a\":", 5);
    cr_expect_eq(sm_metadata_decode(deep, sizeof deep, "x", &m, &ei), SM_E_FORMAT);
}

Test(metadata, newer_versions_are_read_but_not_written)
{
    struct sm_metadata m;
    struct sm_errinfo ei = {0};
    char *text = NULL, dir[256];
    cr_assert_eq(decode(with("\"NumUnits\": 2", "\"NumUnits\": 2, \"Version\": 2"), &m, &ei), SM_OK);
    cr_assert_eq(m.version, 2);
    cr_assert_eq(sm_metadata_encode(&m, &text, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "Version 2"), "%s", ei.text);
    sm_metadata_fini(&m);

    const char *file = tmpdir_path(tmpdir_make(dir), SM_METADATA_FILE);
    const char *v2 = with("\"NumUnits\": 2", "\"NumUnits\": 2, \"Version\": 2");
    file_put(file, v2, strlen(v2));
    cr_assert_eq(decode(go_text, &m, &ei), SM_OK);
    cr_assert_eq(sm_metadata_save(dir, &m, &ei), SM_E_FORMAT, "it would replace newer metadata");
    char *kept = (char *)file_get(file, NULL);
    cr_assert_str_eq(kept, v2);
    free(kept);
    sm_metadata_fini(&m);
}

/* ---- files ---- */

static void quiet(void *ctx, sm_log_level level, const char *line)
{
    if (level == SM_LOG_WARN && strstr(line, "backup")) ++*(int *)ctx;
}

static struct sm_metadata go_metadata(void)
{
    struct sm_metadata m;
    cr_assert_eq(decode(go_text, &m, NULL), SM_OK);
    return m;
}

Test(metadata, save_load_and_backup)
{
    char dir[256];
    int warned = 0;
    bool from_backup;
    struct sm_errinfo ei = {0};
    struct sm_metadata m = go_metadata(), got;
    sm_log_set_sink(quiet, &warned);
    tmpdir_make(dir);
    const char *file = tmpdir_path(dir, SM_METADATA_FILE), *backup = tmpdir_path(dir, SM_METADATA_BACKUP_FILE);

    cr_assert_eq(sm_metadata_load(dir, &got, &from_backup, &ei), SM_E_NOTFOUND);
    cr_assert_eq(sm_metadata_save(dir, &m, &ei), SM_OK, "%s", ei.text);
    struct stat st;
    cr_assert_eq(stat(file, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(file_size(backup), -1);
    cr_assert_eq(chmod(file, 0644), 0);

    m.nonce = 7;
    cr_assert_eq(sm_metadata_save(dir, &m, &ei), SM_OK);
    cr_assert_eq(stat(file, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0644, "an existing file keeps its mode");
    char *old = (char *)file_get(backup, NULL);
    cr_assert_str_eq(old, go_text);
    free(old);

    cr_assert_eq(sm_metadata_load(dir, &got, &from_backup, &ei), SM_OK);
    cr_assert(got.nonce == 7 && !from_backup);

    static const char *const broken[] = {"", "{\"NodeId\":", "\0\0\0\0"};
    for (size_t i = 0; i < 3; i++) {
        file_put(file, broken[i], i == 2 ? 4 : strlen(broken[i]));
        cr_assert_eq(sm_metadata_load(dir, &got, &from_backup, &ei), SM_OK, "%s", ei.text);
        cr_assert(got.nonce == 246 && from_backup);
        cr_assert_eq(warned, (int)i + 1);
    }
    cr_assert_eq(sm_metadata_save(dir, &m, &ei), SM_OK, "over a broken file");
    old = (char *)file_get(backup, NULL);
    cr_assert_str_eq(old, go_text, "what does not parse never becomes the backup");
    free(old);

    file_put(file, "{}", 2);
    file_put(backup, "{}", 2);
    cr_assert_eq(sm_metadata_load(dir, &got, &from_backup, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, file), "the text is about the file, not its backup: %s", ei.text);
}

Test(metadata, too_large_is_refused)
{
    char dir[256], *big = malloc(SM_METADATA_MAX_BYTES + 1);
    bool from_backup;
    struct sm_metadata got;
    struct sm_errinfo ei = {0};
    memset(big, ' ', SM_METADATA_MAX_BYTES + 1);
    memcpy(big, go_text, sizeof go_text - 1);
    file_put(tmpdir_path(tmpdir_make(dir), SM_METADATA_FILE), big, SM_METADATA_MAX_BYTES + 1);
    cr_assert_eq(sm_metadata_load(dir, &got, &from_backup, &ei), SM_E_FORMAT);
    file_put(tmpdir_path(dir, SM_METADATA_FILE), big, SM_METADATA_MAX_BYTES);
    cr_assert_eq(sm_metadata_load(dir, &got, &from_backup, &ei), SM_OK, "%s", ei.text);
    free(big);
}

Test(metadata, survives_interrupted_and_short_transfers)
{
    char dir[256];
    bool from_backup;
    struct sm_metadata m = go_metadata(), got;
    struct sm_errinfo ei = {0};
    tmpdir_make(dir);
    fault_set(&(struct fault_plan){.eintr = true, .short_max = 7});
    cr_assert_eq(sm_metadata_save(dir, &m, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_metadata_load(dir, &got, &from_backup, &ei), SM_OK, "%s", ei.text);
    fault_clear();
    cr_assert_eq(got.nonce, 246);
    cr_assert_gt(fault_calls(), 40);
}

/* Whatever call fails or is the last one of the process: the old or the new content is there, and it is whole. */
static void check_old_or_new(const char *dir, uint64_t old_nonce, uint64_t new_nonce, uint64_t k)
{
    bool from_backup;
    struct sm_metadata got;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_metadata_load(dir, &got, &from_backup, &ei), SM_OK, "call %" PRIu64 ": %s", k, ei.text);
    cr_assert_not(from_backup);
    cr_assert(got.nonce == old_nonce || got.nonce == new_nonce, "call %" PRIu64 ": nonce %" PRIu64, k, got.nonce);
    sm_metadata_fini(&got);
}

Test(metadata, every_failing_call_leaves_old_or_new)
{
    char dir[256];
    struct sm_metadata m = go_metadata();
    tmpdir_make(dir);
    cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
    uint64_t k = 1;
    for (;; k++) {
        struct sm_errinfo ei = {0};
        m.nonce = 1000 + k;
        fault_set(&(struct fault_plan){.fail_at = k});
        const sm_err err = sm_metadata_save(dir, &m, &ei);
        const uint64_t calls = fault_calls();
        fault_clear();
        if (calls < k) {
            cr_assert_eq(err, SM_OK);
            break;
        }
        cr_assert_neq(err, SM_OK, "call %" PRIu64, k);
        cr_assert(ei.text[0]);
        check_old_or_new(dir, k == 1 ? 246 : 1000 + k - 1, 1000 + k, k);
        cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
    }
    cr_assert_gt(k, 10, "the calls were counted");
    cr_assert_eq(file_size(tmpdir_path(dir, SM_METADATA_FILE ".tmp")), -1);
}

Test(metadata, every_crash_leaves_old_or_new)
{
    char dir[256];
    struct sm_metadata m = go_metadata();
    tmpdir_make(dir);
    cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
    uint64_t k = 1;
    for (bool done = false; !done; k++) {
        m.nonce = 1000 + k;
        const pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            fault_set(&(struct fault_plan){.crash_at = k, .crash_torn = true});
            _exit(sm_metadata_save(dir, &m, NULL) == SM_OK ? 0 : 1);
        }
        int status = 0;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status));
        done = WEXITSTATUS(status) == 0;
        if (!done) cr_assert_eq(WEXITSTATUS(status), FAULT_CRASH_STATUS);
        check_old_or_new(dir, k == 1 ? 246 : 1000 + k - 1, 1000 + k, k);
        cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
    }
    cr_assert_gt(k, 10);
}

Test(metadata, full_disk)
{
    char dir[256];
    struct sm_metadata m = go_metadata();
    struct sm_errinfo ei = {0};
    tmpdir_make(dir);
    cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
    for (uint64_t room = 0; room < 2 * strlen(go_text); room += 37) {
        m.nonce = 100 + room;
        fault_set(&(struct fault_plan){.has_space = true, .space_bytes = room});
        cr_assert_eq(sm_metadata_save(dir, &m, &ei), SM_E_NOSPACE, "%s", ei.text);
        fault_clear();
        check_old_or_new(dir, 246, 246, room);
    }
}
