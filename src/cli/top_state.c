#include "cli/top_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const sort_names[SM_TOP_SORTS] = {"name", "deadline", "phase", "speed"};

const char *sm_top_sort_name(sm_top_sort s)
{
    return (unsigned)s < SM_TOP_SORTS ? sort_names[s] : "?";
}

/* ---- order ---- */

struct order {
    const struct sm_top_rig *rigs;
    sm_top_sort sort;
};

static int compare_double(double a, double b)
{
    return (a > b) - (a < b);
}

static int compare_identities(const struct sm_status_identity *a, const struct sm_status_identity *b, sm_top_sort sort)
{
    /* What matters soonest comes first; no deadline is the latest one. */
    static const int urgency[SM_STATUS_PHASES] = {
        [SM_STATUS_FAILED] = 0, [SM_STATUS_READING] = 1,      [SM_STATUS_K2POW] = 2, [SM_STATUS_VERIFYING] = 3,
        [SM_STATUS_QUEUED] = 5, [SM_STATUS_RANDOMX_INIT] = 4, [SM_STATUS_DONE] = 6,  [SM_STATUS_IDLE] = 7};
    switch (sort) {
    case SM_TOP_BY_DEADLINE:
        return compare_double(a->deadline_unix_s ? (double)a->deadline_unix_s : 1e18,
                              b->deadline_unix_s ? (double)b->deadline_unix_s : 1e18);
    case SM_TOP_BY_PHASE:
        return urgency[a->phase] - urgency[b->phase];
    case SM_TOP_BY_SPEED:
        return compare_double(b->read_bytes.s10, a->read_bytes.s10);
    default:
        return strcmp(a->name, b->name);
    }
}

static int compare_rows(const void *x, const void *y, void *ctx)
{
    const struct order *o = ctx;
    const struct sm_top_row *a = x, *b = y;
    const int c = compare_identities(&o->rigs[a->rig].snapshot.identities[a->index],
                                     &o->rigs[b->rig].snapshot.identities[b->index], o->sort);
    if (c) return c;
    if (a->rig != b->rig) return a->rig < b->rig ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

bool sm_top_rows(const struct sm_top_rig *rigs, size_t rigs_n, sm_top_sort sort, struct sm_top_row **out, size_t *out_n)
{
    size_t n = 0;
    for (size_t r = 0; r < rigs_n; r++) n += rigs[r].snapshot.identities_n;
    struct sm_top_row *rows = calloc(n + 1, sizeof *rows);
    if (!rows) return false;
    n = 0;
    for (size_t r = 0; r < rigs_n; r++) {
        for (size_t i = 0; i < rigs[r].snapshot.identities_n; i++) rows[n++] = (struct sm_top_row){r, i};
    }
    struct order o = {rigs, sort};
    qsort_r(rows, n, sizeof *rows, compare_rows, &o);
    *out = rows;
    *out_n = n;
    return true;
}

/* ---- selection ---- */

static void keep_in_view(struct sm_top_state *st, size_t rows_n, size_t shown)
{
    if (st->selected >= rows_n) st->selected = rows_n ? rows_n - 1 : 0;
    if (shown == 0) shown = 1;
    if (st->selected < st->first) st->first = st->selected;
    if (st->selected >= st->first + shown) st->first = st->selected - shown + 1;
    if (rows_n <= shown)
        st->first = 0;
    else if (st->first + shown > rows_n)
        st->first = rows_n - shown;
}

static void select_row(struct sm_top_state *st, const struct sm_top_rig *rigs, const struct sm_top_row *rows,
                       size_t rows_n, size_t shown, size_t row)
{
    st->selected = row;
    keep_in_view(st, rows_n, shown);
    st->has_identity = rows_n > 0;
    if (!rows_n) return;
    st->rig = rows[st->selected].rig;
    st->node_id = rigs[st->rig].snapshot.identities[rows[st->selected].index].node_id;
}

void sm_top_follow(struct sm_top_state *st, const struct sm_top_rig *rigs, const struct sm_top_row *rows, size_t rows_n,
                   size_t shown)
{
    size_t row = st->selected;
    for (size_t i = 0; i < rows_n && st->has_identity; i++) {
        const struct sm_status_identity *id = &rigs[rows[i].rig].snapshot.identities[rows[i].index];
        if (rows[i].rig == st->rig && memcmp(id->node_id.b, st->node_id.b, sizeof id->node_id.b) == 0) {
            row = i;
            break;
        }
    }
    select_row(st, rigs, rows, rows_n, shown, row);
}

/* ---- keys ---- */

static void ask(struct sm_top_state *st, const struct sm_top_rig *rigs, const struct sm_top_row *rows, size_t rows_n)
{
    if (st->selected >= rows_n) return;
    const struct sm_top_row *row = &rows[st->selected];
    const struct sm_status_identity *id = &rigs[row->rig].snapshot.identities[row->index];
    st->target = (struct sm_top_target){.rig = row->rig, .node_id = id->node_id, .resume = id->paused};
    sm_status_text(st->target.name, sizeof st->target.name, id->name);
    st->asking = true;
    (void)snprintf(st->notice, sizeof st->notice, "%s %s? y: yes, any other key: no", id->paused ? "resume" : "pause",
                   id->name);
}

static sm_top_wish answer(struct sm_top_state *st, sm_top_key key, int c)
{
    st->asking = false;
    st->notice[0] = '\0';
    if (key != SM_TOP_KEY_CHAR || (c != 'y' && c != 'Y')) return SM_TOP_NOTHING;
    return st->target.resume ? SM_TOP_RESUME : SM_TOP_PAUSE;
}

static size_t moved(size_t from, size_t rows_n, size_t shown, sm_top_key key)
{
    const size_t page = shown > 1 ? shown - 1 : 1, last = rows_n ? rows_n - 1 : 0;
    switch (key) {
    case SM_TOP_KEY_UP:
        return from ? from - 1 : 0;
    case SM_TOP_KEY_DOWN:
        return from < last ? from + 1 : last;
    case SM_TOP_KEY_PAGE_UP:
        return from > page ? from - page : 0;
    case SM_TOP_KEY_PAGE_DOWN:
        return last - from > page && from < last ? from + page : last;
    case SM_TOP_KEY_HOME:
        return 0;
    case SM_TOP_KEY_END:
        return last;
    default:
        return from;
    }
}

sm_top_wish sm_top_press(struct sm_top_state *st, const struct sm_top_rig *rigs, const struct sm_top_row *rows,
                         size_t rows_n, size_t shown, sm_top_key key, int c)
{
    if (key == SM_TOP_KEY_NONE) return SM_TOP_NOTHING;
    if (st->asking) return answer(st, key, c);
    st->notice[0] = '\0';
    if (key != SM_TOP_KEY_CHAR) {
        select_row(st, rigs, rows, rows_n, shown, moved(st->selected, rows_n, shown, key));
        return SM_TOP_NOTHING;
    }
    switch (c) {
    case 'q':
    case 'Q':
        return SM_TOP_LEAVE;
    case '?':
        st->help = !st->help;
        break;
    case 's':
        st->sort = (sm_top_sort)((st->sort + 1) % SM_TOP_SORTS);
        break;
    case 'r':
        return SM_TOP_REFRESH;
    case 'p':
        ask(st, rigs, rows, rows_n);
        break;
    default:
        st->help = false;
        break;
    }
    return SM_TOP_NOTHING;
}
