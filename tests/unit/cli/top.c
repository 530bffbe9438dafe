/* `smesher top` without a terminal: lines, order, selection, keys. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "../status/kit.h"
#include "cli/top_state.h"
#include "status/utf8.h"

struct world {
    struct sm_top_rig rigs[3];
    size_t rigs_n;
    struct sm_top_row *rows;
    size_t rows_n;
    struct sm_top_frame frame;
    struct sm_top_look look;
    int64_t now;
};

static void arrange(struct world *w, sm_top_sort sort)
{
    free(w->rows);
    cr_assert(sm_top_rows(w->rigs, w->rigs_n, sort, &w->rows, &w->rows_n));
}

static void usual(struct world *w)
{
    *w =
        (struct world){.rigs_n = 1, .look = {.width = 80, .height = 24, .utf8 = true, .mark = true}, .now = 1700003600};
    w->rigs[0].url = "http://rig-7:9090";
    w->rigs[0].known = true;
    kit_usual(&w->rigs[0].snapshot);
    arrange(w, SM_TOP_BY_NAME);
}

static void fini(struct world *w)
{
    for (size_t i = 0; i < 3; i++) sm_status_snapshot_fini(&w->rigs[i].snapshot);
    free(w->rows);
    sm_top_frame_fini(&w->frame);
}

static void draw(struct world *w)
{
    cr_assert(sm_top_draw(w->rigs, w->rigs_n, w->rows, w->rows_n, &w->look, w->now, &w->frame));
}

static size_t columns(const char *text)
{
    size_t n = 0;
    for (; *text; n++) {
        const size_t bytes = sm_utf8_char(text, NULL);
        cr_assert(bytes, "broken UTF-8");
        cr_assert(bytes > 1 || ((unsigned char)*text >= 0x20 && *text != 0x7f), "control character");
        text += bytes;
    }
    return n;
}

static const struct sm_top_line *line_with(const struct world *w, const char *part)
{
    for (size_t i = 0; i < w->frame.n; i++) {
        if (strstr(w->frame.lines[i].text, part)) return &w->frame.lines[i];
    }
    cr_assert_fail("no line has \"%s\"", part);
    return NULL;
}

Test(top, usual_frame)
{
    static const char *const expected[] = {
        "rig-7  smesher 0.1.0  mainnet  up 1h00m  1/2 registered  proofs: 3 made, 2 taken",
        " identity     node       phase        progress               speed   ends    due",
        ">alpha        registered reading      [##......]  25% 200.00 MiB/s 17m15s 11h00m",
        " beta         rejected   done         [########] 100%                   -      -",
        "alpha: 4 units, 256.00 GiB in /mnt/a/post",
        "  id abababababababababababababababababababababababababababababababab",
        "  node node:9094: registered",
        "  pass 1, nonces 0-288, k2pow 18/18, read 64.00 GiB of 256.00 GiB",
        "cpu                Some CPU (vaes512), 200.00 MiB/s, 54 C, 120 W",
        "gpu-0000:01:00.0   Some GPU, quarantined: computed a wrong label",
        "1m40s ago: beta: node:9094: post service already registered",
    };
    struct world w;
    usual(&w);
    draw(&w);
    cr_assert_eq(w.frame.n, 24);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        cr_expect_str_eq(w.frame.lines[i].text, expected[i]);
    cr_assert_str_eq(w.frame.lines[23].text, "q quit  arrows select  s sort: name  p pause/resume  r refresh  ? help");
    cr_assert_eq(w.frame.lines[2].style, SM_TOP_SELECTED);
    cr_assert_eq(w.frame.lines[3].style, SM_TOP_BAD);
    fini(&w);
}

Test(top, what_needs_attention)
{
    struct world w;
    usual(&w);
    w.look.mark = false;
    draw(&w);
    cr_assert_eq(line_with(&w, " alpha")->style, SM_TOP_GOOD);
    w.now = 1700043300; /* beyond the deadline */
    draw(&w);
    cr_assert_eq(line_with(&w, " alpha")->style, SM_TOP_BAD);
    cr_assert_not_null(strstr(line_with(&w, " alpha")->text, " over"));
    w.now = 1700003600;
    w.rigs[0].snapshot.identities[0].paused = true;
    draw(&w);
    cr_assert_eq(line_with(&w, " alpha")->style, SM_TOP_WARN);
    cr_assert_not_null(strstr(line_with(&w, " alpha")->text, "paused"));
    fini(&w);
}

Test(top, rigs_that_do_not_answer)
{
    struct world w;
    usual(&w);
    w.rigs_n = 2;
    w.rigs[1].url = "http://rig-8:9090";
    arrange(&w, SM_TOP_BY_NAME);
    draw(&w);
    cr_assert_str_eq(w.frame.lines[1].text, "http://rig-8:9090: asking ...");
    strcpy(w.rigs[1].trouble, "connection refused");
    strcpy(w.rigs[0].trouble, "timeout");
    w.rigs[0].age_s = 61;
    draw(&w);
    cr_assert_str_eq(w.frame.lines[0].text, "rig-7: timeout; seen 1m01s ago");
    cr_assert_str_eq(w.frame.lines[1].text, "http://rig-8:9090: connection refused");
    cr_assert_eq(w.frame.lines[1].style, SM_TOP_BAD);
    (void)line_with(&w, ">alpha"); /* its last state stays */
    fini(&w);
}

Test(top, any_snapshot_in_any_terminal)
{
    uint64_t r = kit_seed();
    for (int round = 0; round < 400; round++) {
        struct world w = {.rigs_n = 1 + kit_random(&r) % 3, .now = kit_time(&r)};
        for (size_t i = 0; i < w.rigs_n; i++) {
            w.rigs[i].url = "http://rig";
            w.rigs[i].known = kit_random(&r) % 4;
            if (w.rigs[i].known) kit_random_snapshot(&w.rigs[i].snapshot, &r);
            if (kit_random(&r) % 3 == 0) KIT_TEXT(&r, w.rigs[i].trouble);
        }
        arrange(&w, (sm_top_sort)(kit_random(&r) % SM_TOP_SORTS));
        w.look = (struct sm_top_look){.width = (unsigned)(kit_random(&r) % 300),
                                      .height = (unsigned)(kit_random(&r) % 60),
                                      .utf8 = kit_random(&r) & 1,
                                      .help = kit_random(&r) % 10 == 0,
                                      .selected = kit_random(&r) % 20,
                                      .first = kit_random(&r) % 20,
                                      .mark = kit_random(&r) & 1};
        draw(&w);
        const size_t widest = w.look.width < SM_TOP_WIDTH_MIN ? SM_TOP_WIDTH_MIN : w.look.width;
        if (w.look.height) cr_assert_eq(w.frame.n, w.look.height);
        for (size_t i = 0; i < w.frame.n; i++) {
            cr_assert_leq(columns(w.frame.lines[i].text), widest);
            for (const char *p = w.frame.lines[i].text; !w.look.utf8 && *p; p++) cr_assert((unsigned char)*p < 0x80);
        }
        fini(&w);
    }
}

Test(top, every_identity_is_in_a_frame_without_height)
{
    struct world w;
    usual(&w);
    for (int i = 0; i < 500; i++)
        (void)snprintf(sm_status_add_identity(&w.rigs[0].snapshot)->name, SM_STATUS_NAME_ROOM, "id-%03d", i);
    arrange(&w, SM_TOP_BY_NAME);
    w.look.height = 0;
    w.look.mark = false;
    draw(&w);
    (void)line_with(&w, " alpha");
    (void)line_with(&w, " id-000");
    (void)line_with(&w, " id-499");
    fini(&w);
}

Test(top, durations)
{
    static const struct {
        double s;
        char text[8];
    } cases[] = {{0, "0s"},         {59.4, "59s"},    {59.6, "1m00s"},     {3599, "59m59s"},  {3600, "1h00m"},
                 {86399, "23h59m"}, {86400, "1d00h"}, {8639999, "99d23h"}, {8640000, "100d"}, {-1, "-"}};
    char out[16];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_str_eq(sm_top_duration(cases[i].s, out), cases[i].text);
}

/* ---- order, selection, keys ---- */

static const char *name_at(const struct world *w, size_t row)
{
    return w->rigs[w->rows[row].rig].snapshot.identities[w->rows[row].index].name;
}

Test(top, orders)
{
    struct world w;
    usual(&w);
    struct sm_status_identity *id = sm_status_add_identity(&w.rigs[0].snapshot);
    strcpy(id->name, "aaron");
    id->deadline_unix_s = 1700000000;
    id->phase = SM_STATUS_FAILED;
    arrange(&w, SM_TOP_BY_NAME);
    cr_assert_str_eq(name_at(&w, 0), "aaron");
    cr_assert_str_eq(name_at(&w, 1), "alpha");
    arrange(&w, SM_TOP_BY_DEADLINE);
    cr_assert_str_eq(name_at(&w, 0), "aaron");
    cr_assert_str_eq(name_at(&w, 2), "beta"); /* none */
    arrange(&w, SM_TOP_BY_PHASE);
    cr_assert_str_eq(name_at(&w, 0), "aaron");
    arrange(&w, SM_TOP_BY_SPEED);
    cr_assert_str_eq(name_at(&w, 0), "alpha");
    fini(&w);
}

static sm_top_wish key(struct world *w, struct sm_top_state *st, sm_top_key k, int c)
{
    return sm_top_press(st, w->rigs, w->rows, w->rows_n, 5, k, c);
}

Test(top, selection_moves_and_stays_in_view)
{
    struct world w;
    struct sm_top_state st = {0};
    usual(&w);
    for (int i = 0; i < 18; i++) {
        struct sm_status_identity *id = sm_status_add_identity(&w.rigs[0].snapshot);
        (void)snprintf(id->name, sizeof id->name, "c%02d", i);
        id->node_id.b[0] = (uint8_t)i;
    }
    arrange(&w, SM_TOP_BY_NAME);
    sm_top_follow(&st, w.rigs, w.rows, w.rows_n, 5);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_UP, 0), SM_TOP_NOTHING);
    cr_assert_eq(st.selected, 0);
    for (int i = 0; i < 7; i++) key(&w, &st, SM_TOP_KEY_DOWN, 0);
    cr_assert_eq(st.selected, 7);
    cr_assert_eq(st.first, 3);
    key(&w, &st, SM_TOP_KEY_PAGE_DOWN, 0);
    cr_assert_eq(st.selected, 11);
    key(&w, &st, SM_TOP_KEY_END, 0);
    cr_assert_eq(st.selected, 19);
    cr_assert_eq(st.first, 15);
    key(&w, &st, SM_TOP_KEY_PAGE_DOWN, 0);
    cr_assert_eq(st.selected, 19);
    key(&w, &st, SM_TOP_KEY_PAGE_UP, 0);
    cr_assert_eq(st.selected, 15);
    const char *name = name_at(&w, st.selected);
    arrange(&w, SM_TOP_BY_PHASE); /* the selected identity moves, the selection with it */
    sm_top_follow(&st, w.rigs, w.rows, w.rows_n, 5);
    cr_assert_str_eq(name_at(&w, st.selected), name);
    w.rigs[0].snapshot.identities_n = 2; /* it is gone */
    arrange(&w, SM_TOP_BY_NAME);
    sm_top_follow(&st, w.rigs, w.rows, w.rows_n, 5);
    cr_assert_eq(st.selected, 1);
    cr_assert_eq(st.first, 0);
    w.rigs[0].snapshot.identities_n = 0;
    arrange(&w, SM_TOP_BY_NAME);
    sm_top_follow(&st, w.rigs, w.rows, w.rows_n, 5);
    key(&w, &st, SM_TOP_KEY_DOWN, 0);
    key(&w, &st, SM_TOP_KEY_PAGE_DOWN, 0);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'p'), SM_TOP_NOTHING);
    cr_assert_not(st.asking);
    fini(&w);
}

Test(top, pause_and_resume_ask_first)
{
    struct world w;
    struct sm_top_state st = {0};
    usual(&w);
    sm_top_follow(&st, w.rigs, w.rows, w.rows_n, 5);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'p'), SM_TOP_NOTHING);
    cr_assert_str_eq(st.notice, "pause alpha? y: yes, any other key: no");
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_NONE, 0), SM_TOP_NOTHING);
    cr_assert(st.asking, "time alone is no answer");
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'q'), SM_TOP_NOTHING, "no, not leave");
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'p'), SM_TOP_NOTHING);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_DOWN, 0), SM_TOP_NOTHING);
    cr_assert_eq(st.selected, 0, "that was the answer no");
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'p'), SM_TOP_NOTHING);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'y'), SM_TOP_PAUSE);
    cr_assert_eq(st.target.node_id.b[0], 0xab);
    w.rigs[0].snapshot.identities[0].paused = true;
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'p'), SM_TOP_NOTHING);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'y'), SM_TOP_RESUME);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, '?'), SM_TOP_NOTHING);
    cr_assert(st.help);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 's'), SM_TOP_NOTHING);
    cr_assert_eq(st.sort, SM_TOP_BY_DEADLINE);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'r'), SM_TOP_REFRESH);
    cr_assert_eq(key(&w, &st, SM_TOP_KEY_CHAR, 'q'), SM_TOP_LEAVE);
    fini(&w);
}
