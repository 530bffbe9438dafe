/* cli/top_view.h: rigs as lines of text: what `smesher top` shows, without a terminal. Pure; the time is handed in. */
#ifndef SM_CLI_TOP_VIEW_H
#define SM_CLI_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status/snapshot.h"

#define SM_TOP_RIGS_MAX  64u
#define SM_TOP_LINE_ROOM 1024u /* bytes of a line */
#define SM_TOP_WIDTH_MIN 40u   /* columns; narrower terminals see the left part */
#define SM_TOP_WIDTH_MAX 250u

struct sm_top_rig {
    const char *url;
    bool known; /* `snapshot` holds the last answer */
    struct sm_status_snapshot snapshot;
    char trouble[SM_STATUS_TEXT_ROOM]; /* why the last question failed; "" it did not */
    double age_s;                      /* of the last answer */
};

typedef enum sm_top_sort {
    SM_TOP_BY_NAME,
    SM_TOP_BY_DEADLINE,
    SM_TOP_BY_PHASE,
    SM_TOP_BY_SPEED,
    SM_TOP_SORTS
} sm_top_sort;

/* One identity of one rig. */
struct sm_top_row {
    size_t rig, index;
};

struct sm_top_look {
    unsigned width, height; /* of the terminal; height 0: as many lines as there are */
    bool utf8;              /* the terminal shows it */
    bool help;
    sm_top_sort sort;
    size_t selected, first; /* rows; `first` is the topmost that is shown */
    bool mark;              /* show which row is selected, and its details */
    const char *notice;     /* last line, instead of the keys; NULL: the keys */
};

typedef enum sm_top_style {
    SM_TOP_PLAIN,
    SM_TOP_TITLE,
    SM_TOP_HEAD, /* of a table */
    SM_TOP_GOOD,
    SM_TOP_WARN,
    SM_TOP_BAD,
    SM_TOP_SELECTED
} sm_top_style;

struct sm_top_line {
    sm_top_style style;
    char text[SM_TOP_LINE_ROOM];
};

struct sm_top_frame { /* zero-initialise; can be used again */
    struct sm_top_line *lines;
    size_t n, room;
    size_t rows_shown; /* identities that fit */
};

/* All identities in the order of `sort`; equal ones by rig and position. *out is malloc'd. False: memory. */
bool sm_top_rows(const struct sm_top_rig *rigs, size_t rigs_n, sm_top_sort sort, struct sm_top_row **out,
                 size_t *out_n);

/* The lines. No control characters, at most look->width columns each; ASCII without look->utf8. False: memory. */
bool sm_top_draw(const struct sm_top_rig *rigs, size_t rigs_n, const struct sm_top_row *rows, size_t rows_n,
                 const struct sm_top_look *look, int64_t now_unix_s, struct sm_top_frame *out);
void sm_top_frame_fini(struct sm_top_frame *f);

/* "850 ms" is too long for a column: "0s", "59s", "17m15s", "3h12m", "4d02h", "1234d"; "-" when negative. */
char *sm_top_duration(double seconds, char out[16]);
const char *sm_top_sort_name(sm_top_sort s);

#endif
