#include "cli/subject.h"

#include <inttypes.h>

#include "post/sidecar.h"
#include "util/bytes.h"
#include "util/log.h"

static sm_err load_directory(struct sm_subject *s, struct sm_errinfo *ei)
{
    bool from_backup = false;
    sm_err err = sm_metadata_load(s->dir, &s->meta, &from_backup, ei);
    if (err && err != SM_E_NOTFOUND) return err;
    s->has_meta = !err;
    if (s->has_meta && s->meta.has_scrypt && s->meta.scrypt_n <= UINT32_MAX) s->scrypt_n = (uint32_t)s->meta.scrypt_n;
    struct sm_sidecar side = {0};
    struct sm_errinfo why = {0};
    err = sm_sidecar_load(s->dir, &side, &why);
    if (!err && side.scrypt_n) s->scrypt_n = side.scrypt_n;
    if (err && err != SM_E_NOTFOUND) sm_log(SM_LOG_WARN, "post", "side file ignored", "%s", why.text);
    return SM_OK;
}

sm_err sm_subject_load(const struct sm_cli *cli, const char *dir, const struct sm_net_args *net, struct sm_subject *out,
                       struct sm_errinfo *ei)
{
    *out = (struct sm_subject){
        .dir = dir,
        .network_chosen = sm_cli_given(cli, "network") || sm_cli_given(cli, "param"),
    };
    sm_err err = sm_net_params(net, &out->params, ei);
    if (!err) err = load_directory(out, ei);
    if (err) sm_subject_fini(out);
    return err;
}

void sm_subject_fini(struct sm_subject *s)
{
    sm_metadata_fini(&s->meta);
    s->has_meta = false;
}

sm_err sm_subject_need_meta(const struct sm_subject *s, struct sm_errinfo *ei)
{
    if (s->has_meta) return SM_OK;
    return sm_fail(ei, SM_E_NOTFOUND, "%s holds no %s: it is no data directory, or init never ran on it", s->dir,
                   SM_METADATA_FILE);
}

sm_err sm_subject_scrypt_n(struct sm_subject *s, uint32_t flag, uint32_t *out, struct sm_errinfo *ei)
{
    if (flag && !sm_is_pow2_u64(flag))
        return sm_fail(ei, SM_E_ARG, "--scrypt-n %" PRIu32 " is not a power of two", flag);
    if (flag && s->scrypt_n && flag != s->scrypt_n)
        return sm_fail(ei, SM_E_MISMATCH, "--scrypt-n is %" PRIu32 ", but the labels in %s were made with %" PRIu32,
                       flag, s->dir, s->scrypt_n);
    if (!flag && s->network_chosen && s->scrypt_n && s->params.scrypt_n != s->scrypt_n)
        return sm_fail(ei, SM_E_MISMATCH,
                       "network %s has scrypt N %" PRIu32 ", but the labels in %s were made with %" PRIu32,
                       s->params.name, s->params.scrypt_n, s->dir, s->scrypt_n);
    if (flag)
        s->params.scrypt_n = flag;
    else if (s->scrypt_n)
        s->params.scrypt_n = s->scrypt_n;
    *out = s->params.scrypt_n;
    return SM_OK;
}

sm_err sm_subject_fits_network(const struct sm_subject *s, struct sm_errinfo *ei)
{
    const struct sm_post_params *p = &s->params;
    const struct sm_metadata *m = &s->meta;
    if (m->labels_per_unit != p->labels_per_unit)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s has %" PRIu64 " labels per unit, network %s has %" PRIu64
                       "; choose its network by --network",
                       s->dir, m->labels_per_unit, p->name, p->labels_per_unit);
    if (m->num_units < p->min_num_units || m->num_units > p->max_num_units)
        return sm_fail(ei, SM_E_MISMATCH, "%s has %" PRIu32 " units, network %s accepts %" PRIu32 " to %" PRIu32,
                       s->dir, m->num_units, p->name, p->min_num_units, p->max_num_units);
    return SM_OK;
}

uint64_t sm_cli_file_bound(const struct sm_cli *cli, const char *option, uint64_t value)
{
    return sm_cli_given(cli, option) ? value : SM_LAYOUT_ALL;
}
