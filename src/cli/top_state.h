/* cli/top_state.h: order, selection and keys of `smesher top`. Pure. */
#ifndef SM_CLI_TOP_STATE_H
#define SM_CLI_TOP_STATE_H

#include "cli/top_view.h"

typedef enum sm_top_key {
    SM_TOP_KEY_NONE,
    SM_TOP_KEY_UP,
    SM_TOP_KEY_DOWN,
    SM_TOP_KEY_PAGE_UP,
    SM_TOP_KEY_PAGE_DOWN,
    SM_TOP_KEY_HOME,
    SM_TOP_KEY_END,
    SM_TOP_KEY_CHAR, /* with the character */
} sm_top_key;

typedef enum sm_top_wish {
    SM_TOP_NOTHING,
    SM_TOP_LEAVE,
    SM_TOP_REFRESH,
    SM_TOP_PAUSE, /* of state.target */
    SM_TOP_RESUME,
} sm_top_wish;

struct sm_top_target {
    size_t rig;
    struct sm_node_id node_id;
    bool resume;
    char name[SM_STATUS_NAME_ROOM];
};

struct sm_top_state { /* zero-initialise */
    sm_top_sort sort;
    bool help, asking;
    size_t selected, first;
    bool has_identity; /* that is selected: stays so when rows move */
    size_t rig;
    struct sm_node_id node_id;
    struct sm_top_target target; /* of a pause or a resume */
    char notice[SM_STATUS_TEXT_ROOM + SM_STATUS_NAME_ROOM];
};

/* New rows: finds the selected identity again, keeps the selection within them and in view of `shown` rows. */
void sm_top_follow(struct sm_top_state *st, const struct sm_top_rig *rigs, const struct sm_top_row *rows, size_t rows_n,
                   size_t shown);
/* What a key means. `c` is the character of SM_TOP_KEY_CHAR. */
sm_top_wish sm_top_press(struct sm_top_state *st, const struct sm_top_rig *rigs, const struct sm_top_row *rows,
                         size_t rows_n, size_t shown, sm_top_key key, int c);

#endif
