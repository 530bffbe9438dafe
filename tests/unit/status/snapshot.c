/* The snapshot as a container: arrays, names, cut texts, the ring of errors. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "status/snapshot.h"

Test(snapshot, arrays_grow_and_keep_what_they_hold)
{
    struct sm_status_snapshot s = {0};
    for (uint32_t i = 0; i < 1000; i++) {
        struct sm_status_identity *id = sm_status_add_identity(&s);
        cr_assert_not_null(id);
        cr_assert_eq(id->num_units, 0);
        cr_assert_lt(id->eta_s, 0);
        id->num_units = i;
        cr_assert_not_null(sm_status_add_device(&s));
        cr_assert_not_null(sm_status_add_disk(&s));
        cr_assert_not_null(sm_status_add_skipped(&s));
    }
    cr_assert_eq(s.identities_n, 1000);
    cr_assert_eq(s.devices_n, 1000);
    cr_assert_eq(s.disks_n, 1000);
    cr_assert_eq(s.skipped_n, 1000);
    for (uint32_t i = 0; i < 1000; i++) cr_assert_eq(s.identities[i].num_units, i);
    sm_status_snapshot_fini(&s);
    cr_assert_null(s.identities);
    sm_status_snapshot_fini(&s);
}

Test(snapshot, names_and_back)
{
    for (int i = 0; i < SM_STATUS_PHASES; i++) {
        sm_status_phase p;
        cr_assert(sm_status_phase_of(sm_status_phase_name((sm_status_phase)i), &p));
        cr_assert_eq(p, (sm_status_phase)i);
    }
    for (int i = 0; i < SM_STATUS_LINKS; i++) {
        sm_status_link l;
        cr_assert(sm_status_link_of(sm_status_link_name((sm_status_link)i), &l));
        cr_assert_eq(l, (sm_status_link)i);
    }
    sm_status_phase p;
    cr_assert_not(sm_status_phase_of("unknown", &p));
    cr_assert_str_eq(sm_status_phase_name(SM_STATUS_PHASES), "unknown");
    cr_assert_str_eq(sm_status_phase_name(SM_STATUS_RANDOMX_INIT), "randomx-init"); /* spelled by OUR-13 */
}

Test(snapshot, texts_are_cut_between_characters)
{
    char out[5];
    sm_status_text(out, sizeof out, "abcd");
    cr_assert_str_eq(out, "abcd");
    sm_status_text(out, sizeof out, "abcde");
    cr_assert_str_eq(out, "abcd");
    sm_status_text(out, sizeof out, "abc\xc3\xa4"); /* 5 bytes: the last character does not fit */
    cr_assert_str_eq(out, "abc");
    sm_status_text(out, sizeof out, "\x80\x80\x80\x80\x80"); /* no UTF-8 at all */
    cr_assert_str_eq(out, "");
    sm_status_text(out, 1, "x");
    cr_assert_str_eq(out, "");
}

Test(snapshot, ring_of_errors_keeps_the_newest)
{
    struct sm_status_error ring[SM_STATUS_ERRORS_MAX];
    size_t n = 0;
    for (int i = 1; i <= 40; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "error %d", i);
        sm_status_error_put(ring, &n, i, "alpha", text);
        cr_assert_str_eq(ring[0].text, text);
    }
    cr_assert_eq(n, SM_STATUS_ERRORS_MAX);
    cr_assert_eq(ring[SM_STATUS_ERRORS_MAX - 1].unix_s, 40 - (int)SM_STATUS_ERRORS_MAX + 1);
}
