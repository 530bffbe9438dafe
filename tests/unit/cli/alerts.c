/* packaging/prometheus/smesher-alerts.yaml as Prometheus would read it: rules that are whole, for everything that wants an
 * operator. That the metrics in them exist is checked where these are made (tests/unit/status/metrics.c). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define FILE_NAME SM_TEST_VECTORS "/../../packaging/prometheus/smesher-alerts.yaml"

static yaml_node_t *member(yaml_document_t *d, const yaml_node_t *map, const char *key)
{
    cr_assert_eq(map->type, YAML_MAPPING_NODE);
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = yaml_document_get_node(d, p->key);
        if (strcmp((const char *)k->data.scalar.value, key) == 0) return yaml_document_get_node(d, p->value);
    }
    return NULL;
}

static const char *text(yaml_document_t *d, const yaml_node_t *map, const char *key)
{
    const yaml_node_t *v = member(d, map, key);
    cr_assert(v && v->type == YAML_SCALAR_NODE && v->data.scalar.length > 0, "no %s", key);
    return (const char *)v->data.scalar.value;
}

static yaml_node_t *only(yaml_document_t *d, const yaml_node_t *list)
{
    cr_assert(list && list->type == YAML_SEQUENCE_NODE);
    cr_assert_eq(list->data.sequence.items.top - list->data.sequence.items.start, 1);
    return yaml_document_get_node(d, *list->data.sequence.items.start);
}

/* Brackets pair up, outside of quotes. */
static void check_expression(const char *name, const char *expr)
{
    char open[64];
    size_t n = 0;
    bool quoted = false;
    for (const char *p = expr; *p; p++) {
        if (*p == '"') quoted = !quoted;
        if (quoted) continue;
        if (strchr("({[", *p)) {
            cr_assert_lt(n, sizeof open);
            open[n++] = *p;
        } else if (strchr(")}]", *p)) {
            cr_assert(n && strchr("(){}[]", open[n - 1])[1] == *p, "%s: %s", name, expr);
            n--;
        }
    }
    cr_assert(!quoted && n == 0, "%s: %s", name, expr);
}

static void check_rule(yaml_document_t *d, const yaml_node_t *rule)
{
    const char *name = text(d, rule, "alert"), *severity = text(d, member(d, rule, "labels"), "severity");
    check_expression(name, text(d, rule, "expr"));
    cr_assert(strcmp(severity, "critical") == 0 || strcmp(severity, "warning") == 0, "%s: %s", name, severity);
    (void)text(d, member(d, rule, "annotations"), "summary");
    (void)text(d, member(d, rule, "annotations"), "description");
}

Test(alerts, rules_are_whole)
{
    static const char *const wanted[] = {
        "SmesherRigDown",           "SmesherProofDeadlineAtRisk", "SmesherProofFailed", "SmesherIdentityNotRegistered",
        "SmesherDeviceQuarantined", "SmesherDiskErrors",          "SmesherBadLabels"};
    const size_t wanted_n = sizeof wanted / sizeof wanted[0];
    size_t found = 0;
    yaml_parser_t parser;
    yaml_document_t d;
    FILE *f = fopen(FILE_NAME, "r");
    cr_assert_not_null(f);
    cr_assert(yaml_parser_initialize(&parser));
    yaml_parser_set_input_file(&parser, f);
    cr_assert(yaml_parser_load(&parser, &d), "line %zu: %s", parser.problem_mark.line + 1, parser.problem);
    const yaml_node_t *rules = member(&d, only(&d, member(&d, yaml_document_get_root_node(&d), "groups")), "rules");
    cr_assert_eq(rules->type, YAML_SEQUENCE_NODE);
    for (const yaml_node_item_t *i = rules->data.sequence.items.start; i < rules->data.sequence.items.top; i++) {
        const yaml_node_t *rule = yaml_document_get_node(&d, *i);
        check_rule(&d, rule);
        for (size_t w = 0; w < wanted_n; w++) found += strcmp(text(&d, rule, "alert"), wanted[w]) == 0;
    }
    cr_assert_eq(found, wanted_n);
    yaml_document_delete(&d);
    yaml_parser_delete(&parser);
    (void)fclose(f);
}
