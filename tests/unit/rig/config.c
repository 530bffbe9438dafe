/* The daemon's configuration: what is accepted, and the sentence for what is not. */
#include "rig/config.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/tmpdir.h"

static void make(struct sm_rig_cfg *c)
{
    struct sm_errinfo ei = {0};
    sm_rig_cfg_init(c);
    cr_assert_eq(sm_rig_cfg_defaults(c, &ei), SM_OK, "%s", ei.text);
}

struct bad_case {
    char text[300];
    char wants[2][64]; /* parts of the sentence; both empty: the text is fine */
};

ParameterizedTestParameters(rig_config, bad_input)
{
    static struct bad_case cases[] = {
        {"network: tiny\n", {""}},
        {"prove: {nonces: 288, randomx: light, window: 0}\n", {""}},
        {"node: {addresses: [a:1, 'http://b:2'], max_retries: 3}\n", {""}},
        {"data:\n  sets:\n    - {dir: /a, name: alpha, disk: d, nonces: 32, window: 2d, paused: yes}\n", {""}},
        {"", {"f.yaml is empty"}},
        {"[1]\n", {"f.yaml:1", "keys and values"}},
        {"network: tiny\nnetwork: tiny\n", {"f.yaml:2", "repeated key network"}},
        {"netwrok: tiny\n", {"f.yaml:1: unknown key netwrok", "did you mean network?"}},
        {"prove:\n  nonce: 16\n", {"f.yaml:2: unknown key nonce", "did you mean nonces?"}},
        {"prove:\n  threads: 4\n  threads: 5\n", {"f.yaml:3", "repeated key threads"}},
        {"prove: 7\n", {"f.yaml:1", "keys and values"}},
        {"prove: {nonces: 17}\n", {"f.yaml:1: nonces", "multiple of 16"}},
        {"prove: {nonces: 4112}\n", {"f.yaml:1: nonces", "4096"}},
        {"prove: {threads: -1}\n", {"threads", "not a whole number"}},
        {"prove: {threads: [1]}\n", {"f.yaml:1", "a single value is expected for threads"}},
        {"prove: {cores: '0,2,0'}\n", {"cores", "0 twice"}},
        {"prove: {cores: '0,,2'}\n", {"cores", "not a whole number"}},
        {"prove: {randomx: quick}\n", {"randomx", "neither light nor fast"}},
        {"prove: {direct_io: maybe}\n", {"direct_io", "neither yes nor no"}},
        {"prove: {checkpoint: 1 GiB}\n", {"checkpoint", "not a size"}},
        {"prove: {window: 12 hours}\n", {"window", "not a duration"}},
        {"node: {ping_interval: 30s}\n", {"ping_interval", "60"}},
        {"node: {addresses: host:1}\n", {"f.yaml:1", "a list is expected for addresses"}},
        {"node: {addresses: [[a]]}\n", {"f.yaml:1", "a single value"}},
        {"node: {addresses: ['']}\n", {"f.yaml:1", "an empty entry"}},
        {"data: {roots: {a: b}}\n", {"f.yaml:1", "a list is expected for roots"}},
        {"data: {sets: [{name: x}]}\n", {"f.yaml:1", "a set needs a dir"}},
        {"data:\n  sets:\n    - dir: /a\n      dsk: b\n", {"f.yaml:4: unknown key dsk", "did you mean disk?"}},
        {"data: {sets: [{dir: /a, nonces: 20}]}\n", {"nonces", "multiple of 16"}},
        {"data: {sets: [{dir: /a, name: 'x\"y'}]}\n", {"f.yaml:1", "no quotes"}},
        {"data: {sets: [/a]}\n", {"f.yaml:1", "keys and values"}},
        {"params: [k1]\n", {"f.yaml:1", "keys and values are expected for params"}},
        {"params: {k9: 1}\n", {"f.yaml:1", "unknown key k9"}},
        {"params: {k1: nine}\n", {"f.yaml:1", "nine"}},
        {"watch_pid: 4294967296\n", {"watch_pid", "outside"}},
        {"network: tiny\n---\nnetwork: tiny\n", {"f.yaml:2", "second document"}},
        {"network: {\n", {"f.yaml:", "not YAML"}},
        {"keep_proofs: 5min\n", {"keep_proofs", "3600"}},
    };
    return cr_make_param_array(struct bad_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct bad_case *c, rig_config, bad_input)
{
    struct sm_rig_cfg cfg;
    struct sm_errinfo ei = {0};
    make(&cfg);
    const sm_err err = sm_rig_cfg_parse(&cfg, c->text, strlen(c->text), "f.yaml", "", &ei);
    cr_assert_eq(err, c->wants[0][0] ? SM_E_FORMAT : SM_OK, "%s: '%s' for\n%s", sm_err_name(err), ei.text, c->text);
    for (int i = 0; i < 2; i++)
        cr_assert(strstr(ei.text, c->wants[i]), "'%s' is not in '%s' for\n%s", c->wants[i], ei.text, c->text);
    sm_rig_cfg_fini(&cfg);
}

/* A reader that leaks or reads beyond shows under the sanitizers. */
Test(rig_config, every_truncation_of_a_good_file)
{
    size_t n = 0;
    char *text = (char *)file_get(SM_TEST_VECTORS "/../../configs/rig.yaml", &n);
    for (size_t k = 0; k <= n; k += 3) {
        struct sm_rig_cfg cfg;
        struct sm_errinfo ei = {0};
        sm_rig_cfg_init(&cfg);
        const sm_err err = sm_rig_cfg_parse(&cfg, text, k, "f.yaml", "/etc", &ei);
        cr_assert(err == SM_OK || ei.text[0], "no sentence at %zu", k);
        sm_rig_cfg_fini(&cfg);
    }
    free(text);
}

Test(rig_config, the_example_has_every_key_and_its_defaults)
{
    struct sm_rig_cfg shown, plain;
    struct sm_errinfo ei = {0};
    const char *key, *help;
    make(&plain);
    make(&shown);
    cr_assert_eq(sm_rig_cfg_load(&shown, SM_TEST_VECTORS "/../../configs/rig.yaml", &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_rig_cfg_check(&shown, &ei), SM_OK, "%s", ei.text);
    size_t n = 0;
    char *text = (char *)file_get(SM_TEST_VECTORS "/../../configs/rig.yaml", &n);
    for (size_t i = 0; sm_rig_cfg_key(i, &key, &help); i++) {
        char want[80];
        const char *name = strrchr(key, '.') ? strrchr(key, '.') + 1 : key;
        (void)snprintf(want, sizeof want, "%s: ", name);
        cr_assert(strstr(text, want), "configs/rig.yaml does not show %s", key);
        cr_assert(*help);
    }
    free(text);
    cr_assert_eq(shown.node.reconnect_interval_s, plain.node.reconnect_interval_s);
    cr_assert_eq(shown.node.max_retries, SM_RIG_NO_LIMIT);
    cr_assert_eq(plain.node.max_retries, SM_RIG_NO_LIMIT);
    cr_assert_eq(shown.node.ping_interval_s, plain.node.ping_interval_s);
    cr_assert(shown.node.share_connection && plain.node.share_connection);
    cr_assert_eq(shown.data.depth, plain.data.depth);
    cr_assert_eq(shown.keep_proofs_s, plain.keep_proofs_s);
    cr_assert_eq(shown.prove.window_s, plain.prove.window_s);
    cr_assert_eq(shown.prove.checkpoint_bytes, plain.prove.checkpoint_bytes);
    cr_assert_eq(shown.prove.direct_io, plain.prove.direct_io);
    cr_assert_null(shown.prove.randomx);
    cr_assert(strcmp(shown.prove.devices, "cpu") == 0 && strcmp(plain.prove.devices, "cpu") == 0);
    cr_assert(!shown.prove.device_only && !plain.prove.device_only);
    cr_assert_str_eq(shown.network, plain.network);
    cr_assert_eq(shown.data.sets_n, 1);
    cr_assert_str_eq(shown.data.sets[0].disk, "shelf-1");
    cr_assert_str_eq(shown.node.ca_cert, SM_TEST_VECTORS "/../../configs/tls/ca.pem"); /* relative to the file */
    cr_assert_str_eq(shown.node.addresses.v[1], "https://node2.example:9094");         /* not a path */
    sm_rig_cfg_fini(&shown);
    sm_rig_cfg_fini(&plain);
}

Test(rig_config, flags_set_what_the_file_sets)
{
    struct sm_rig_cfg c;
    struct sm_errinfo ei = {0};
    make(&c);
    cr_assert_eq(sm_rig_cfg_set(&c, "prove.nonces", "64", "--nonces", &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(c.prove.nonces, 64);
    cr_assert_eq(sm_rig_cfg_set(&c, "prove.cores", "3,1", "--cores", &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(c.prove.cores_n, 2);
    cr_assert_eq(c.prove.cores[0], 3);
    cr_assert_eq(sm_rig_cfg_set(&c, "state_dir", "relative", "--state-dir", &ei), SM_OK, "%s", ei.text);
    cr_assert_str_eq(c.state_dir, "relative");
    cr_assert_eq(sm_rig_cfg_set(&c, "prove.nonces", "65", "--nonces", &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "--nonces"), "%s", ei.text);
    cr_assert_eq(sm_rig_cfg_set(&c, "prove.nonce", "64", "--set", &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "did you mean prove.nonces?"), "%s", ei.text);
    sm_rig_cfg_fini(&c);
}

struct whole_case {
    char text[200];
    char wants[64];
};

ParameterizedTestParameters(rig_config, the_whole)
{
    static struct whole_case cases[] = {
        {"state_dir: /s\nnode: {addresses: [a:1]}\ndata: {roots: [/r]}\n", ""},
        {"node: {addresses: [a:1]}\ndata: {roots: [/r]}\n", "state_dir"},
        {"state_dir: /s\ndata: {roots: [/r]}\n", "node.addresses"},
        {"state_dir: /s\nnode: {addresses: [a:1]}\n", "where the data is"},
        {"state_dir: /s\nnode: {addresses: [a:1], cert: c, key: k}\ndata: {roots: [/r]}\n", "2 of 3"},
        {"state_dir: /s\nnode: {addresses: [a:1]}\ndata: {roots: [/r]}\nprove: {threads: 3, cores: '1,2'}\n",
         "contradict"},
        {"state_dir: /s\nnode: {addresses: [a]}\ndata: {roots: [/r]}\n", "port"},
        {"state_dir: /s\nnode: {addresses: [a:1]}\ndata: {sets: [{dir: /a, name: x}, {dir: /b, name: x}]}\n",
         "called x: /a and /b"},
        {"state_dir: /s\nnode: {addresses: [a:1]}\ndata: {sets: [{dir: /a, name: all}]}\n", "called all"},
        {"state_dir: /s\nnode: {addresses: ['https://a:1']}\ndata: {roots: [/r]}\n", "https"},
        {"state_dir: /s\nnode: {addresses: [a:1]}\ndata: {roots: [/r]}\nk2pow: {urls: ['ftp://a']}\n", "ftp"},
    };
    return cr_make_param_array(struct whole_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct whole_case *c, rig_config, the_whole)
{
    struct sm_rig_cfg cfg;
    struct sm_errinfo ei = {0};
    make(&cfg);
    cr_assert_eq(sm_rig_cfg_parse(&cfg, c->text, strlen(c->text), "f.yaml", "", &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_rig_cfg_check(&cfg, &ei), c->wants[0] ? SM_E_FORMAT : SM_OK, "%s", ei.text);
    cr_assert(strstr(ei.text, c->wants), "'%s' is not in '%s'", c->wants, ei.text);
    sm_rig_cfg_fini(&cfg);
}

Test(rig_config, parameters_of_the_network_with_replaced_ones)
{
    static const char text[] = "network: tiny\nparams: {k1: 20, post.k2: 30}\n";
    struct sm_rig_cfg c;
    struct sm_post_params p;
    struct sm_errinfo ei = {0};
    make(&c);
    cr_assert_eq(sm_rig_cfg_parse(&c, text, strlen(text), "f.yaml", "", &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_rig_cfg_params(&c, &p, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(p.k1, 20);
    cr_assert_eq(p.k2, 30);
    cr_assert_eq(p.labels_per_unit, 4096);
    cr_assert_eq(sm_rig_list_add(&c.params, "k1", &ei), SM_OK);
    cr_assert_eq(sm_rig_cfg_params(&c, &p, &ei), SM_E_FORMAT);
    sm_rig_cfg_fini(&c);
}
