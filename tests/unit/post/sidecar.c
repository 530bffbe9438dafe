/* smesher.json. */
#include <criterion/criterion.h>
#include <string.h>

#include "post/sidecar.h"
#include "support/tmpdir.h"

Test(sidecar, round_trip)
{
    static const struct sm_sidecar all[] = {
        {0},
        {.scrypt_n = 8192},
        {.scrypt_n = 2, .has_subset = true, .from = 3, .to = 9},
        {.scrypt_n = UINT32_MAX, .has_subset = true, .to = UINT64_MAX, .grow_to = 77, .grow_scanned = UINT64_MAX},
        {.has_searched = true, .searched = UINT64_MAX},
        {.scrypt_n = UINT32_MAX,
         .has_subset = true,
         .from = UINT64_MAX,
         .to = UINT64_MAX,
         .grow_to = UINT32_MAX,
         .grow_scanned = UINT64_MAX,
         .has_searched = true,
         .searched = UINT64_MAX},
    };
    char dir[256];
    struct sm_errinfo ei = {0};
    struct sm_sidecar got;
    tmpdir_make(dir);
    cr_assert_eq(sm_sidecar_load(dir, &got, &ei), SM_E_NOTFOUND);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const struct sm_sidecar *s = &all[i];
        cr_assert_eq(sm_sidecar_save(dir, s, &ei), SM_OK, "%s", ei.text);
        memset(&got, 0xa5, sizeof got);
        cr_assert_eq(sm_sidecar_load(dir, &got, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(got.scrypt_n, s->scrypt_n);
        cr_assert(got.has_subset == s->has_subset && got.from == s->from && got.to == s->to);
        cr_assert(got.grow_to == s->grow_to && got.grow_scanned == s->grow_scanned);
        cr_assert(got.has_searched == s->has_searched && got.searched == s->searched);
    }
}

Test(sidecar, broken_files_say_what_to_do)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"scrypt_n\":4294967296}",
        "{\"scrypt_n\":\"2\"}",
        "{\"scrypt_n\":2,\"scrypt_n\":2}",
        "{\"from_file\":1}",
        "{\"from_file\":2,\"to_file\":1}",
        "{\"version\":2}",
    };
    char dir[256];
    struct sm_sidecar got;
    const char *file = tmpdir_path(tmpdir_make(dir), SM_SIDECAR_FILE);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sm_errinfo ei = {0};
        file_put(file, bad[i], strlen(bad[i]));
        cr_assert_eq(sm_sidecar_load(dir, &got, &ei), SM_E_FORMAT, "%s", bad[i]);
        cr_assert(strstr(ei.text, SM_SIDECAR_FILE), "%s", ei.text);
    }
    static const char unknown[] = "{\"scrypt_n\":16,\"later\":{\"x\":[1]}}";
    file_put(file, unknown, sizeof unknown - 1);
    cr_assert_eq(sm_sidecar_load(dir, &got, NULL), SM_OK);
    cr_assert_eq(got.scrypt_n, 16);
}
