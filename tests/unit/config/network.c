#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "config/network.h"
#include "support/vectors.h"

/* post.md §7, typed a second time. */
struct preset_case {
    char name[16];
    uint32_t min_units, max_units;
    uint64_t labels_per_unit;
    uint32_t k1, k2, k3;
    uint8_t pow_first[8]; /* the rest is `pow_rest` */
    uint8_t pow_rest;
    uint32_t scrypt_n, nonces;
    bool fast;
    uint32_t num_units;
};

ParameterizedTestParameters(network, presets_are_the_networks)
{
    static struct preset_case cases[] = {
        {"mainnet",
         4,
         UINT32_MAX,
         UINT64_C(4294967296),
         26,
         37,
         1,
         {0x00, 0x0d, 0xfb, 0x23, 0xb0, 0x97, 0x9b, 0x4b},
         0,
         8192,
         288,
         true,
         2},
        {"testnet",
         2,
         UINT32_MAX,
         1024,
         26,
         37,
         1,
         {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
         0xff,
         8192,
         288,
         true,
         2},
        {"standalone", 1, 2, 64, 12, 4, 1, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0xff, 8192, 16, false, 1},
        {"fastnet", 2, 4, 128, 12, 4, 1, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0xff, 2, 16, false, 2},
    };
    return cr_make_param_array(struct preset_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct preset_case *c, network, presets_are_the_networks)
{
    struct sm_errinfo ei = {0};
    struct sm_post_params p;
    cr_assert_eq(sm_network_load(c->name, &p, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_post_params_check(&p, &ei), SM_OK, "%s", ei.text);
    cr_assert_str_eq(p.name, c->name);
    cr_assert_eq(p.min_num_units, c->min_units);
    cr_assert_eq(p.max_num_units, c->max_units);
    cr_assert_eq(p.labels_per_unit, c->labels_per_unit);
    cr_assert_eq(p.k1, c->k1);
    cr_assert_eq(p.k2, c->k2);
    cr_assert_eq(p.k3, c->k3);
    uint8_t pow[32];
    memset(pow, c->pow_rest, sizeof pow);
    memcpy(pow, c->pow_first, sizeof c->pow_first);
    cr_assert_arr_eq(p.pow_difficulty, pow, sizeof pow);
    cr_assert_eq(p.scrypt_n, c->scrypt_n);
    cr_assert_eq(p.nonces, c->nonces);
    cr_assert_eq(p.randomx_fast, c->fast);
    cr_assert_eq(p.num_units, c->num_units);
    cr_assert_eq(p.max_file_size, UINT64_C(4) << 30);
}

Test(network, every_preset_is_valid_and_survives_a_dump)
{
    struct sm_errinfo ei = {0};
    size_t n = 0;
    for (const struct sm_network_preset *preset = sm_network_presets; preset->name; preset++, n++) {
        struct sm_post_params p, again;
        char *yaml = NULL;
        memset(&p, 0, sizeof p);
        memset(&again, 0xff, sizeof again);
        cr_assert_eq(sm_network_load(preset->name, &p, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(sm_post_params_check(&p, &ei), SM_OK, "%s: %s", preset->name, ei.text);
        cr_assert_eq(sm_network_dump(&p, &yaml, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(sm_network_parse(yaml, strlen(yaml), "dump", &again, &ei), SM_OK, "%s\n%s", ei.text, yaml);
        struct sm_network_field a, b;
        size_t fields = 0;
        for (; sm_network_field(&p, fields, &a); fields++) {
            cr_assert(sm_network_field(&again, fields, &b));
            cr_assert_str_eq(a.value, b.value, "%s of %s", a.key, preset->name);
        }
        cr_assert_gt(fields, 10);
        cr_assert_str_eq(p.name, again.name);
        cr_assert_null(strstr((const char *)preset->yaml, "://"), "a preset names a host");
        free(yaml);
    }
    cr_assert_eq(n, 5);
}

#define REST                                                                                         \
    "  min_num_units: 1\n  max_num_units: 4\n  labels_per_unit: 4096\n  k1: 26\n  k2: 37\n  k3: 1\n" \
    "  pow_difficulty: \"0fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\"\n"       \
    "  scrypt_n: 16\n  nonces: 64\n  randomx_mode: light\n  num_units: 2\n"

struct yaml_case {
    char text[900];
    char wants[3][48]; /* parts of the error text; all empty: the text is fine */
};

ParameterizedTestParameters(network, yaml)
{
    static struct yaml_case cases[] = {
        {"name: x\npost:\n" REST "  max_file_size: 16KiB\n", {""}},
        {"# comment\npost:\n  max_file_size: 16384\n" REST "name: x\n", {""}},
        {"preset: tiny\n", {""}},
        {"preset: tiny\npost:\n  k1: 20\nname: mine\n", {""}},
        {"post:\n  k1: 20\npreset: tiny\n", {""}},
        {"", {"f.yaml", "empty"}},
        {"# nothing\n", {"f.yaml", "empty"}},
        {"just text\n", {"f.yaml:1", "keys and values"}},
        {"- a\n- b\n", {"f.yaml:1", "keys and values"}},
        {"name: x\npost: [1, 2]\n", {"f.yaml:2", "keys and values"}},
        {"name: x\npost:\n  kk1: 3\n", {"f.yaml:3", "unknown key kk1", "did you mean k1?"}},
        {"name: x\npost:\n  labels_per_units: 3\n", {"f.yaml:3", "labels_per_units", "labels_per_unit?"}},
        {"name: x\nposts:\n  k1: 3\n", {"f.yaml:2", "unknown key posts", "did you mean post?"}},
        {"name: x\nname: y\n", {"f.yaml:2", "repeated key name"}},
        {"name: x\npost:\n  k1: 1\n  k2: 2\n  k1: 3\n", {"f.yaml:5", "repeated key k1"}},
        {"name: x\npost:\n  k1: 1\npost:\n  k2: 2\n", {"f.yaml:4", "repeated key post"}},
        {"name: x\npost:\n  k1: many\n", {"f.yaml:3", "k1", "not a whole number"}},
        {"name: x\npost:\n  k1: -1\n", {"f.yaml:3", "k1", "not a whole number"}},
        {"name: x\npost:\n  k1: 0\n", {"f.yaml:3", "k1", "outside"}},
        {"name: x\npost:\n  k1: 4294967296\n", {"f.yaml:3", "k1", "outside"}},
        {"name: x\npost:\n  k1: [1]\n", {"f.yaml:3", "single value", "k1"}},
        {"name: x\npost:\n  k1:\n    deep: 1\n", {"f.yaml:4", "single value", "k1"}},
        {"name: x\npost:\n  k1:\n", {"f.yaml:3", "k1", "not a whole number"}},
        {"name: x\npost:\n  pow_difficulty: abc\n", {"f.yaml:3", "pow_difficulty", "64 hex"}},
        {"name: x\npost:\n  randomx_mode: quick\n", {"f.yaml:3", "randomx_mode", "neither light nor fast"}},
        {"name: x\npost:\n  max_file_size: 4XB\n", {"f.yaml:3", "max_file_size", "not a size"}},
        {"name: x\npost:\n" REST, {"f.yaml", "missing", "post.max_file_size"}},
        {"name: x\n", {"f.yaml", "missing", "post.k1"}},
        {"post:\n" REST "  max_file_size: 16KiB\n", {"f.yaml", "name is missing"}},
        {"name: 'a b'\n", {"f.yaml:1", "name may hold"}},
        {"name: ''\n", {"f.yaml:1", "name must be"}},
        {"name: abcdefghijklmnopqrstuvwxyz0123456\n", {"f.yaml:1", "name must be"}},
        {"preset: nonet\n", {"f.yaml:1", "nonet", "preset"}},
        {"preset: fastnt\n", {"f.yaml:1", "fastnt", "did you mean fastnet?"}},
        {"preset: [a]\n", {"f.yaml:1", "preset must be"}},
        {"name: x\npost: {k1: 1\n", {"f.yaml:3", "not YAML"}},
        {"name: \"x\n", {"f.yaml", "not YAML"}},
        {"? [a]\n: b\n", {"f.yaml:1", "plain text"}},
        {"preset: tiny\n---\npreset: fastnet\n", {"f.yaml:2", "one document"}},
    };
    return cr_make_param_array(struct yaml_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct yaml_case *c, network, yaml)
{
    struct sm_errinfo ei = {0};
    struct sm_post_params p = {.k1 = 12345};
    const sm_err err = sm_network_parse(c->text, strlen(c->text), "f.yaml", &p, &ei);
    if (!c->wants[0][0]) {
        cr_assert_eq(err, SM_OK, "%s", ei.text);
        cr_assert_eq(sm_post_params_check(&p, &ei), SM_OK, "%s", ei.text);
        return;
    }
    cr_assert_eq(err, SM_E_FORMAT, "accepted:\n%s", c->text);
    cr_assert_eq(p.k1, 12345, "written on failure");
    for (size_t i = 0; i < 3; i++)
        cr_assert(strstr(ei.text, c->wants[i]), "'%s' is not in '%s' for\n%s", c->wants[i], ei.text, c->text);
}

Test(network, a_file_extends_a_preset)
{
    struct sm_errinfo ei = {0};
    struct sm_post_params p;
    static const char text[] = "post:\n  k1: 20\npreset: fastnet\n";
    cr_assert_eq(sm_network_parse(text, strlen(text), "f.yaml", &p, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(p.k1, 20);
    cr_assert_eq(p.k2, 4);
    cr_assert_eq(p.labels_per_unit, 128);
    cr_assert_str_eq(p.name, "fastnet");
}

Test(network, environment_replaces_and_refuses)
{
    struct sm_errinfo ei = {0};
    struct sm_post_params p;
    cr_assert_eq(sm_network_load("fastnet", &p, &ei), SM_OK);
    static const char *const good[] = {"HOME=/", "SM_POST_K1=9", "SM_POST_LABELS_PER_UNIT=777", "SM_OTHER=1", NULL};
    cr_assert_eq(sm_network_apply_env(&p, good, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(p.k1, 9);
    cr_assert_eq(p.labels_per_unit, 777);
    static const char *const wrong[] = {"SM_POST_K9=9", NULL};
    cr_assert_eq(sm_network_apply_env(&p, wrong, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "SM_POST_K9") && strstr(ei.text, "did you mean"), "%s", ei.text);
    static const char *const bad[] = {"SM_POST_K1=nine", NULL};
    cr_assert_eq(sm_network_apply_env(&p, bad, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "SM_POST_K1") && strstr(ei.text, "nine"), "%s", ei.text);
}

Test(network, names_and_paths)
{
    struct sm_errinfo ei = {0};
    struct sm_post_params p;
    cr_assert_eq(sm_network_load("mainet", &p, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "did you mean mainnet?"), "%s", ei.text);
    cr_assert_eq(sm_network_load("./no-such-file.yaml", &p, &ei), SM_E_NOTFOUND);
    cr_assert(strstr(ei.text, "no-such-file.yaml"), "%s", ei.text);
}

/* The reader must survive every truncation of a good file (run under the sanitizers). */
Test(network, truncations)
{
    const char *yaml = (const char *)sm_network_presets[0].yaml;
    for (size_t n = 0; n < strlen(yaml); n++) {
        struct sm_post_params p;
        struct sm_errinfo ei = {0};
        char *copy = malloc(n ? n : 1);
        memcpy(copy, yaml, n);
        const sm_err err = sm_network_parse(copy, n, "cut", &p, &ei);
        cr_assert(err == SM_OK || ei.text[0], "no sentence at %zu", n);
        free(copy);
    }
}

/* The same numbers in the node's own words. */
Test(network, mainnet_is_what_nodes_are_configured_with)
{
    struct sm_post_params p;
    struct sm_errinfo ei = {0};
    uint8_t difficulty[32];
    json_t *v = vec_load("poet-mainnet-config.json");
    const json_t *post = vec_get(v, "post");
    cr_assert_eq(sm_network_load("mainnet", &p, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(p.min_num_units, vec_u64(post, "post-min-numunits"));
    cr_assert_eq(p.max_num_units, vec_u64(post, "post-max-numunits"));
    cr_assert_eq(p.labels_per_unit, vec_u64(post, "post-labels-per-unit"));
    cr_assert_eq(p.k1, vec_u64(post, "post-k1"));
    cr_assert_eq(p.k2, vec_u64(post, "post-k2"));
    cr_assert_eq(p.k3, vec_u64(post, "post-k3"));
    vec_hex(post, "post-pow-difficulty", difficulty, 32);
    cr_assert_arr_eq(p.pow_difficulty, difficulty, 32);
    json_decref(v);
}
