/* Key files, plain and sealed, and the rules of a directory of identities. */
#include "kit.h"

#include <fcntl.h>
#include <unistd.h>

static const struct sm_seal_cost cheap = {.passes = 1, .memory_bytes = 8192};
static struct sm_passphrase pass = {(uint8_t *)"correct horse", 13}, wrong = {(uint8_t *)"Correct horse", 13};

static sm_err decode(const char *text, struct sm_errinfo *ei)
{
    struct sm_secret *s = NULL;
    sm_err err = sm_keyfile_decode((struct sm_slice){(const uint8_t *)text, strlen(text)}, "test.key", &s, ei);
    sm_secret_free(s);
    return err;
}

Test(keyfile, text_is_strict)
{
    char good[140], bad[140];
    struct sm_secret *s = seed_key(1);
    sm_hex_encode(sm_secret_lend(s), 64, good);
    sm_secret_return(s);
    sm_secret_free(s);
    OK(decode(good, &ei));
    for (char *p = strcpy(bad, good); *p; p++)
        if (*p >= 'a') *p = (char)(*p - 32);
    OK(decode(bad, &ei));
    OK(decode(strcat(strcpy(bad, good), "\n"), &ei));
    OK(decode(strcat(strcpy(bad, good), "\r\n"), &ei));
    REFUSED(SM_E_FORMAT, "invalid key size", decode(strcat(strcpy(bad, good), "\n\n"), &ei));
    REFUSED(SM_E_FORMAT, "invalid key size", decode(strcat(strcpy(bad, good), " "), &ei));
    REFUSED(SM_E_FORMAT, "invalid key size", decode("", &ei));
    REFUSED(SM_E_FORMAT, "invalid key size", decode("\n", &ei));
    REFUSED(SM_E_FORMAT, "invalid key size", decode(good + 2, &ei));
    strcpy(bad, good);
    bad[5] = 'V';
    REFUSED(SM_E_FORMAT, "not hex", decode(bad, &ei));
    strcpy(bad, good);
    bad[127] = bad[127] == '0' ? '1' : '0';
    REFUSED(SM_E_FORMAT, "do not match", decode(bad, &ei));
}

/* post-service.md 11.4 */
Test(keyfile, the_published_example)
{
    static const char text[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
                               "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
    struct sm_secret *s = NULL;
    OK(sm_keyfile_decode((struct sm_slice){(const uint8_t *)text, 128}, "local.key", &s, &ei));
    cr_assert_arr_eq(s->node_id.b, ((const uint8_t[]){0x03, 0xa1, 0x07, 0xbf}), 4);
    sm_secret_free(s);
    char wrong[129];
    for (size_t i = 0; i < 126; i++) wrong[i] = "ab"[i % 2];
    REFUSED(SM_E_FORMAT, "local.key",
            sm_keyfile_decode((struct sm_slice){(uint8_t *)wrong, 126}, "local.key", &s, &ei));
    for (size_t i = 0; i < 128; i++) wrong[i] = "CV"[i % 2];
    REFUSED(SM_E_FORMAT, "local.key",
            sm_keyfile_decode((struct sm_slice){(uint8_t *)wrong, 128}, "local.key", &s, &ei));
}

Test(keyfile, written_as_the_reference_reads_it)
{
    char dir[256];
    struct stat st;
    struct sm_secret *s = seed_key(1), *back = NULL;
    bool exposed = true;
    tmpdir_make(dir);
    const char *keys = tmpdir_path(dir, "identities"), *path = tmpdir_path(keys, "local.key");
    OK(sm_keyfile_write_new(keys, "local.key", s, NULL, cheap, &ei));
    cr_assert_eq(stat(keys, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700u);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600u);
    size_t n;
    uint8_t *text = file_get(path, &n);
    cr_assert_eq(n, 128u);
    cr_assert_str_eq((char *)text, "01010101010101010101010101010101010101010101010101010101010101018a88e3dd7409f195"
                                   "fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c");
    free(text);
    OK(sm_keyfile_read(path, NULL, &back, &exposed, &ei));
    cr_assert_not(exposed);
    cr_assert_arr_eq(back->node_id.b, s->node_id.b, 32);
    sm_secret_free(back);
    cr_assert_eq(chmod(path, 0640), 0);
    OK(sm_keyfile_read(path, NULL, &back, &exposed, &ei));
    cr_assert(exposed);
    sm_secret_free(back);
    /* Never replaced, never twice, local.key alone. */
    struct sm_secret *t = seed_key(2);
    REFUSED(SM_E_MISMATCH, "never replaced", sm_keyfile_write_new(keys, "local.key", t, NULL, cheap, &ei));
    REFUSED(SM_E_MISMATCH, "holds this key already", sm_keyfile_write_new(keys, "x.key", s, NULL, cheap, &ei));
    REFUSED(SM_E_MISMATCH, "reserved", sm_keyfile_write_new(keys, "x.key", t, NULL, cheap, &ei));
    REFUSED(SM_E_ARG, "cannot name", sm_keyfile_write_new(keys, "../x.key", t, NULL, cheap, &ei));
    REFUSED(SM_E_ARG, "cannot name", sm_keyfile_write_new(keys, "x", t, NULL, cheap, &ei));
    REFUSED(SM_E_ARG, "cannot name", sm_keyfile_write_new(keys, ".key", t, NULL, cheap, &ei));
    sm_secret_free(t);
    sm_secret_free(s);
    tmpdir_remove(dir);
}

Test(keyfile, sealed)
{
    char dir[256];
    struct sm_secret *s = seed_key(1), *back = NULL;
    uint8_t file[SM_SEALED_BYTES];
    struct sm_node_id id;
    tmpdir_make(dir);
    OK(sm_keyfile_write_new(dir, "a.skey", s, &pass, cheap, &ei));
    const char *path = tmpdir_path(dir, "a.skey");
    OK(sm_keyfile_read(path, &pass, &back, NULL, &ei));
    cr_assert_arr_eq(sm_secret_lend(back), sm_secret_lend(s), 64);
    sm_secret_return(back);
    sm_secret_return(s);
    sm_secret_free(back);
    REFUSED(SM_E_REFUSED, "wrong passphrase", sm_keyfile_read(path, &wrong, &back, NULL, &ei));
    REFUSED(SM_E_REFUSED, "give its passphrase", sm_keyfile_read(path, NULL, &back, NULL, &ei));
    struct sm_keyring ring = {0};
    OK(sm_keyring_load(dir, SM_KEYRING_LIST, NULL, &ring, &ei));
    cr_assert_eq(ring.n, 1u);
    cr_assert(ring.v[0].sealed);
    cr_assert_null(ring.v[0].secret);
    cr_assert_arr_eq(ring.v[0].node_id.b, s->node_id.b, 32);
    sm_keyring_fini(&ring);
    /* The plain seed is nowhere in it; every changed byte is noticed. */
    OK(sm_sealed_make(s, &pass, cheap, file, &ei));
    cr_assert_null(memmem(file, sizeof file, sm_secret_lend(s), 32));
    sm_secret_return(s);
    for (size_t i = 0; i < sizeof file; i++) {
        file[i] ^= 1;
        if (i < 16 || i >= 20) /* more passes are only slower: checked once below */
            cr_assert_neq(sm_sealed_open((struct sm_slice){file, sizeof file}, "t", &pass, &back, NULL), SM_OK,
                          "byte %zu", i);
        file[i] ^= 1;
    }
    for (size_t n = 0; n < sizeof file; n++)
        cr_assert_eq(sm_sealed_peek((struct sm_slice){file, n}, "t", &id, NULL), SM_E_FORMAT);
    sm_secret_free(s);
    tmpdir_remove(dir);
}

Test(keyfile, directory_rules)
{
    struct kit k = {0};
    struct sm_keyring ring = {0};
    kit_files(&k, 2);
    file_put(tmpdir_path(k.keys, "notes.txt"), "x", 1);
    mkdir(tmpdir_path(k.keys, "sub.key"), 0700);
    OK(sm_keyring_load(k.keys, SM_KEYRING_OPEN, NULL, &ring, &ei));
    cr_assert_eq(ring.n, 2u);
    cr_assert_str_eq(ring.v[0].name, "a.key");
    cr_assert_str_eq(ring.v[1].name, "b.key");
    cr_assert_arr_eq(sm_keyring_find(&ring, &k.id[1])->node_id.b, k.id[1].b, 32);
    sm_keyring_fini(&ring);
    size_t n;
    uint8_t *text = file_get(tmpdir_path(k.keys, "a.key"), &n);
    file_put(tmpdir_path(k.keys, "c.key"), text, n);
    free(text);
    REFUSED(SM_E_MISMATCH, "a.key and c.key hold the same key",
            sm_keyring_load(k.keys, SM_KEYRING_LIST, NULL, &ring, &ei));
    cr_assert_eq(rename(tmpdir_path(k.keys, "c.key"), tmpdir_path(k.keys, "a.key")), 0);
    cr_assert_eq(rename(tmpdir_path(k.keys, "a.key"), tmpdir_path(k.keys, "local.key")), 0);
    REFUSED(SM_E_MISMATCH, "reserved", sm_keyring_load(k.keys, SM_KEYRING_LIST, NULL, &ring, &ei));
    cr_assert_eq(unlink(tmpdir_path(k.keys, "b.key")), 0);
    OK(sm_keyring_load(k.keys, SM_KEYRING_LIST, NULL, &ring, &ei));
    sm_keyring_fini(&ring);
    tmpdir_remove(k.dir);
}

Test(keyfile, a_crash_while_writing_leaves_nothing_in_the_way)
{
    char dir[256];
    struct sm_secret *s = seed_key(1);
    tmpdir_make(dir);
    file_put(tmpdir_path(dir, ".a.key.tmp"), "0101", 4);
    OK(sm_keyfile_write_new(dir, "a.key", s, NULL, cheap, &ei));
    cr_assert_eq(file_size(tmpdir_path(dir, ".a.key.tmp")), -1);
    cr_assert_eq(file_size(tmpdir_path(dir, "a.key")), 128);
    sm_secret_free(s);
    tmpdir_remove(dir);
}

Test(keyfile, passphrases)
{
    int p[2];
    struct sm_passphrase got = {0};
    cr_assert_eq(pipe(p), 0);
    cr_assert_eq(write(p[1], "s e c\n", 6), 6);
    close(p[1]);
    OK(sm_passphrase_read(p[0], "pipe", &got, &ei));
    cr_assert_eq(got.n, 5u);
    cr_assert_arr_eq(got.bytes, "s e c", 5);
    sm_passphrase_fini(&got);
    close(p[0]);
    const int fd = open("/dev/null", O_RDONLY), zero = open("/dev/zero", O_RDONLY);
    REFUSED(SM_E_FORMAT, "1 to 1024", sm_passphrase_read(fd, "null", &got, &ei));
    REFUSED(SM_E_FORMAT, "1 to 1024", sm_passphrase_read(zero, "zero", &got, &ei));
    close(fd);
    close(zero);
}
