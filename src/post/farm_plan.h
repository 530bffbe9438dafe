/* post/farm_plan.h: who computes which labels, and when a result may be delivered: the farm without threads, clocks and
 * labels. The caller holds one lock over all calls and says what time it is, so that tests run an hour in a moment.
 *
 * Every engine gets pieces in proportion to the speed it was last seen at, so that all come back about equally often and
 * no slow piece holds up the order. Towards the end pieces shrink, and an engine for which even the smallest would last
 * longer than all the others need for the rest gets none: they finish together. */
#ifndef SM_POST_FARM_PLAN_H
#define SM_POST_FARM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/label.h"

typedef enum sm_piece_state {
    SM_PIECE_COMPUTING,
    SM_PIECE_CHECKING, /* the engine is free for another one */
    SM_PIECE_RETURNED, /* its engine was lost: the next that asks takes it, or a part */
    SM_PIECE_DONE,
} sm_piece_state;

/* Labels from their claim to their delivery. The list of them is in label order. */
struct sm_piece {
    struct sm_piece *next;
    struct sm_label_range range;
    sm_piece_state state;
    size_t seat; /* whose it is; not valid when RETURNED */
    uint64_t started_ns;
    uint8_t *labels; /* the farm's, not looked at here; freed with the piece */
    struct sm_vrf_best best;
};

struct sm_plan_seat {
    uint64_t most;  /* labels per piece that suit the engine */
    uint32_t width; /* computed side by side: a part of it takes as long as all */
    double duty;    /* share of the time it works; it rests after every piece */
    double rate;    /* labels per second, with its rests */
    bool measured;  /* else the rate is what `most` promises */
    bool gone;
};

struct sm_farm_plan {
    struct sm_plan_seat *seats;
    size_t seats_n, seats_room;
    uint64_t window;                     /* labels that may be claimed and not delivered */
    const struct sm_label_range *ranges; /* what follows: of the current run; not before ranges[0] + range_at */
    size_t ranges_n;
    uint64_t range_at;
    uint64_t unclaimed, returned; /* labels */
    uint64_t in_window;
    struct sm_piece *head, **tail;
};

/* window: labels, at least 1; 0 = several rounds of all engines, within 32 and 256 MiB, set by begin. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_farm_plan_init(struct sm_farm_plan *p, size_t seats_room, uint64_t window,
                                       struct sm_errinfo *ei);
void sm_farm_plan_fini(struct sm_farm_plan *p); /* accepts a zeroed one */

/* The number of the new seat; there must be room. chunk, width and duty as in struct sm_label_engine. */
size_t sm_farm_plan_add(struct sm_farm_plan *p, uint64_t chunk, uint32_t width, double duty);
/* The engine gets nothing any more. */
void sm_farm_plan_lose(struct sm_farm_plan *p, size_t seat);

/* Ranges are borrowed until clear. Rates are kept from the run before. */
void sm_farm_plan_begin(struct sm_farm_plan *p, const struct sm_label_range *ranges, size_t n);
/* Frees what was not delivered. */
void sm_farm_plan_clear(struct sm_farm_plan *p);

/* Work for an engine that is idle. NULL: none for it now; ask again when a piece was delivered or returned, or an engine
 * was lost. Someone who asks always gets something while labels are left and nothing is under way or done. */
struct sm_piece *sm_farm_plan_claim(struct sm_farm_plan *p, size_t seat, uint64_t now_ns);

/* The engine is done with it: CHECKING. What follows is done or give_back. */
void sm_farm_plan_computed(struct sm_farm_plan *p, struct sm_piece *piece, uint64_t now_ns);
void sm_farm_plan_done(struct sm_piece *piece);
/* From COMPUTING or CHECKING; its labels are freed. */
void sm_farm_plan_give_back(struct sm_farm_plan *p, struct sm_piece *piece);

/* The next piece in order, taken out of the list, or NULL; it counts as in the window until `delivered`, which
 * frees it. */
struct sm_piece *sm_farm_plan_next_done(struct sm_farm_plan *p);
void sm_farm_plan_delivered(struct sm_farm_plan *p, struct sm_piece *piece);
/* Nothing is left to claim, compute or deliver. */
bool sm_farm_plan_finished(const struct sm_farm_plan *p);

#endif
