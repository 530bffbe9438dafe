/* rpc/address.h */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

#include "rpc/address.h"

struct good {
    char text[80], host[64];
    unsigned port;
    int tls;
    char shown[80];
};

static struct good goods[] = {
    {"localhost:9094", "localhost", 9094, 0, "localhost:9094"},
    {"http://localhost:9094", "localhost", 9094, 0, "localhost:9094"},
    {"https://node.example.:65535/", "node.example.", 65535, 1, "node.example.:65535"},
    {"HTTPS://Node_1:1", "Node_1", 1, 1, "Node_1:1"},
    {"10.1.2.3:80", "10.1.2.3", 80, 0, "10.1.2.3:80"},
    {"[::1]:9094", "::1", 9094, 0, "[::1]:9094"},
    {"https://[fe80::1%eth0]:9094", "fe80::1%eth0", 9094, 1, "[fe80::1]:9094"},
    {"[::ffff:127.0.0.1]:00080", "::ffff:127.0.0.1", 80, 0, "[::ffff:127.0.0.1]:80"},
};

ParameterizedTestParameters(address, parses)
{
    return cr_make_param_array(struct good, goods, sizeof goods / sizeof goods[0]);
}

ParameterizedTest(struct good *c, address, parses)
{
    struct sm_rpc_address a;
    struct sm_errinfo ei = {0};
    char text[SM_RPC_ADDRESS_ROOM];
    cr_assert_eq(sm_rpc_address_parse(c->text, &a, &ei), SM_OK, "%s", ei.text);
    cr_assert_str_eq(a.host, c->host);
    cr_assert_eq(a.port, c->port);
    cr_assert_eq(a.tls, c->tls);
    cr_assert_str_eq(sm_rpc_address_text(&a, text), c->shown);
}

struct bad {
    char text[80], says[60];
};

static struct bad bads[] = {
    {"", "host is missing"},
    {"localhost", "port is missing"},
    {"localhost:", "port must be"},
    {"localhost:0", "port must be a number from 1"},
    {"localhost:65536", "port must be"},
    {"localhost:99999999999", "port must be"},
    {"localhost:80x", "port must be"},
    {"localhost: 80", "port must be"},
    {"localhost:+80", "port must be"},
    {":9094", "host is missing"},
    {"ftp://localhost:80", "unknown protocol"},
    {"grpc://localhost:80", "unknown protocol"},
    {"://localhost:80", "unknown protocol"},
    {"httpss://localhost:80", "unknown protocol"},
    {"http://localhost:80/path", "no path"},
    {"http://me@localhost:80", "no user"},
    {"http://localhost:80?x", "no path"},
    {"::1:9094", "in brackets"},
    {"[::1]", "port is missing"},
    {"[::1]9094", "port is missing"},
    {"[::1:9094", "']' is missing"},
    {"[localhost]:80", "neither"},
    {"[127.0.0.1]:80", "neither"},
    {"[]:80", "host is missing"},
    {"10.0.0.256:80", "neither"},
    {"127.1:80", "neither"},
    {"my host:80", "neither"},
    {"-x:80", "neither"},
    {"a..b:80", "neither"},
    {"h\xc3\xb6st:80", "neither"},
};

ParameterizedTestParameters(address, refuses)
{
    return cr_make_param_array(struct bad, bads, sizeof bads / sizeof bads[0]);
}

ParameterizedTest(struct bad *c, address, refuses)
{
    struct sm_rpc_address a, before;
    struct sm_errinfo ei = {0};
    memset(&a, 0x5a, sizeof a);
    before = a;
    cr_assert_eq(sm_rpc_address_parse(c->text, &a, &ei), SM_E_ARG, "'%s' was taken", c->text);
    cr_assert(strstr(ei.text, c->says), "'%s': %s", c->text, ei.text);
    cr_assert(*c->text == '\0' || strstr(ei.text, c->text), "%s", ei.text);
    cr_assert_arr_eq(&a, &before, sizeof a, "written in spite of an error");
}

Test(address, hosts_have_a_length)
{
    char text[400];
    struct sm_rpc_address a;
    (void)snprintf(text, sizeof text, "%063d.%063d.%063d.%061d:1", 0, 0, 0, 0);
    text[0] = 'a'; /* 253 characters: the longest name that DNS knows */
    cr_assert_eq(sm_rpc_address_parse(text, &a, NULL), SM_OK);
    (void)snprintf(text, sizeof text, "a%063d:1", 0);
    cr_assert_eq(sm_rpc_address_parse(text, &a, NULL), SM_E_ARG);
    (void)snprintf(text, sizeof text, "a.%0300d:1", 0);
    cr_assert_eq(sm_rpc_address_parse(text, &a, NULL), SM_E_ARG);
}

Test(address, listening)
{
    struct sm_rpc_address a;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_rpc_address_parse_listen("127.0.0.1:0", &a, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(a.port, 0);
    cr_assert_eq(sm_rpc_address_parse_listen("[::]:9094", &a, &ei), SM_OK, "%s", ei.text);
    cr_assert_str_eq(a.host, "::");
    cr_assert_eq(sm_rpc_address_parse_listen("http://127.0.0.1:0", &a, &ei), SM_E_ARG);
    cr_assert_eq(sm_rpc_address_parse_listen(":9094", &a, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "0.0.0.0:9094"), "%s", ei.text);
}

Test(address, certificates_need_https)
{
    struct sm_rpc_address a;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_rpc_address_parse("node:9094", &a, NULL), SM_OK);
    cr_assert_eq(sm_rpc_address_check_tls(&a, false, &ei), SM_OK);
    cr_assert_eq(sm_rpc_address_check_tls(&a, true, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "write https://node:9094"), "%s", ei.text);
    cr_assert_eq(sm_rpc_address_parse("https://node:9094", &a, NULL), SM_OK);
    cr_assert_eq(sm_rpc_address_check_tls(&a, true, &ei), SM_OK);
    cr_assert_eq(sm_rpc_address_check_tls(&a, false, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "needs certificates"), "%s", ei.text);
}

static bool loopback(const char *text)
{
    struct sm_rpc_address a;
    cr_assert_eq(sm_rpc_address_parse(text, &a, NULL), SM_OK);
    return sm_rpc_address_is_loopback(&a);
}

Test(address, loopback)
{
    cr_assert(loopback("127.3.4.5:1"));
    cr_assert(loopback("[::1]:1"));
    cr_assert(loopback("localhost:1"));
    cr_assert_not(loopback("0.0.0.0:1"));
    cr_assert_not(loopback("[::]:1"));
    cr_assert_not(loopback("localhost.example:1"));
    cr_assert_not(loopback("10.0.0.1:1"));
}
