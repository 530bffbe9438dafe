#include "cli/top_screen.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top_state.h"
#include "util/clock.h"

#define KEY_WAIT_MS 100 /* ours: how soon an answer or the cancel flag is seen */

struct screen {
    struct sm_top_fetch *fetch;
    struct sm_top_rig *rigs;
    size_t rigs_n;
    struct sm_top_state state;
    struct sm_top_row *rows;
    size_t rows_n;
    struct sm_top_frame frame;
    bool color, utf8;
};

bool sm_top_utf8(void)
{
    /* Only characters: numbers go on to be written with a point. */
    return setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static attr_t attribute_of(sm_top_style style, bool color)
{
    static const struct {
        attr_t plain;
        short pair; /* 0: none */
    } looks[] = {
        [SM_TOP_PLAIN] = {A_NORMAL, 0},     [SM_TOP_TITLE] = {A_BOLD, 0},  [SM_TOP_HEAD] = {A_UNDERLINE, 0},
        [SM_TOP_GOOD] = {A_NORMAL, 1},      [SM_TOP_WARN] = {A_NORMAL, 2}, [SM_TOP_BAD] = {A_BOLD, 3},
        [SM_TOP_SELECTED] = {A_REVERSE, 0},
    };
    const short pair = color ? looks[style].pair : 0;
    return looks[style].plain | (pair ? (attr_t)COLOR_PAIR(pair) : A_NORMAL);
}

static bool draw(struct screen *s)
{
    struct sm_top_state *st = &s->state;
    int height, width;
    getmaxyx(stdscr, height, width);
    const struct sm_top_look look = {
        .width = (unsigned)width,
        .height = (unsigned)(height > 0 ? height : 1),
        .utf8 = s->utf8,
        .help = st->help,
        .sort = st->sort,
        .selected = st->selected,
        .first = st->first,
        .mark = true,
        .notice = st->notice[0] ? st->notice : NULL,
    };
    if (!sm_top_draw(s->rigs, s->rigs_n, s->rows, s->rows_n, &look, sm_clock_wall_s(), &s->frame)) return false;
    (void)erase();
    for (size_t i = 0; i < s->frame.n && (int)i < height; i++) {
        (void)attrset((int)attribute_of(s->frame.lines[i].style, s->color));
        (void)mvaddnstr((int)i, 0, s->frame.lines[i].text, -1);
    }
    (void)refresh();
    return true;
}

static bool arrange(struct screen *s)
{
    struct sm_top_row *rows;
    if (!sm_top_rows(s->rigs, s->rigs_n, s->state.sort, &rows, &s->rows_n)) return false;
    free(s->rows);
    s->rows = rows;
    sm_top_follow(&s->state, s->rigs, s->rows, s->rows_n, s->frame.rows_shown);
    return true;
}

static sm_top_key key_of(int c)
{
    switch (c) {
    case ERR:
    case KEY_RESIZE:
        return SM_TOP_KEY_NONE;
    case KEY_UP:
        return SM_TOP_KEY_UP;
    case KEY_DOWN:
        return SM_TOP_KEY_DOWN;
    case KEY_PPAGE:
        return SM_TOP_KEY_PAGE_UP;
    case KEY_NPAGE:
        return SM_TOP_KEY_PAGE_DOWN;
    case KEY_HOME:
        return SM_TOP_KEY_HOME;
    case KEY_END:
        return SM_TOP_KEY_END;
    default:
        return SM_TOP_KEY_CHAR;
    }
}

/* False: leave. */
static bool press(struct screen *s, int c)
{
    struct sm_top_state *st = &s->state;
    switch (sm_top_press(st, s->rigs, s->rows, s->rows_n, s->frame.rows_shown, key_of(c), c)) {
    case SM_TOP_LEAVE:
        return false;
    case SM_TOP_REFRESH:
        sm_top_fetch_refresh(s->fetch);
        return true;
    case SM_TOP_PAUSE:
    case SM_TOP_RESUME:
        sm_top_fetch_order(s->fetch, st->target.rig, &st->target.node_id, st->target.resume);
        return true;
    default:
        return true;
    }
}

static sm_err run(struct screen *s, const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    uint64_t drawn_ns = 0;
    for (int c = ERR; !sm_cancelled(cancel); c = getch()) {
        char told[SM_STATUS_TEXT_ROOM] = "";
        if (!press(s, c)) return SM_OK;
        const bool news = sm_top_fetch_take(s->fetch, s->rigs, told, sizeof told);
        if (told[0] && !s->state.asking) sm_status_text(s->state.notice, sizeof s->state.notice, told);
        if (!news && c == ERR && sm_clock_ns() - drawn_ns < SM_NS_PER_S) continue;
        if (!arrange(s) || !draw(s)) return sm_fail(ei, SM_E_NOMEM, "not enough memory to show the rigs");
        sm_top_follow(&s->state, s->rigs, s->rows, s->rows_n, s->frame.rows_shown);
        drawn_ns = sm_clock_ns();
    }
    return SM_OK;
}

sm_err sm_top_screen_run(struct sm_top_fetch *fetch, struct sm_top_rig *rigs, size_t rigs_n, bool color,
                         const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    struct screen s = {.fetch = fetch, .rigs = rigs, .rigs_n = rigs_n, .utf8 = sm_top_utf8()};
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (!terminal)
        return sm_fail(ei, SM_E_STATE, "TERM=%s is no terminal that can be drawn on: use --once",
                       getenv("TERM") ? getenv("TERM") : "");
    (void)cbreak();
    (void)noecho();
    (void)curs_set(0);
    (void)keypad(stdscr, TRUE);
    timeout(KEY_WAIT_MS);
    s.color = color && has_colors() && start_color() == OK && use_default_colors() == OK;
    if (s.color) {
        (void)init_pair(1, COLOR_GREEN, -1);
        (void)init_pair(2, COLOR_YELLOW, -1);
        (void)init_pair(3, COLOR_RED, -1);
    }
    const sm_err err = run(&s, cancel, ei);
    (void)endwin();
    delscreen(terminal);
    free(s.rows);
    sm_top_frame_fini(&s.frame);
    return err;
}
