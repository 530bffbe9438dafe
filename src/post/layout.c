#include "post/layout.h"

#include <inttypes.h>
#include <stdio.h>

sm_err sm_layout_make(uint64_t num_labels, uint64_t max_file_size, uint64_t from, uint64_t to, struct sm_layout *out,
                      struct sm_errinfo *ei)
{
    struct sm_layout l = {.num_labels = num_labels, .labels_per_file = max_file_size / SM_LABEL_BYTES};
    if (l.labels_per_file == 0)
        return sm_fail(ei, SM_E_ARG, "a file size of %" PRIu64 " bytes has no room for one label (%u bytes)",
                       max_file_size, SM_LABEL_BYTES);
    l.files = num_labels / l.labels_per_file + (num_labels % l.labels_per_file != 0);
    l.from = from == SM_LAYOUT_ALL ? 0 : from;
    if (l.files == 0) { /* the only layout with from > to */
        if (l.from != 0 || to != SM_LAYOUT_ALL)
            return sm_fail(ei, SM_E_ARG, "--from-file and --to-file: the data set has no files");
        l.from = 1;
        *out = l;
        return SM_OK;
    }
    l.to = to == SM_LAYOUT_ALL ? l.files - 1 : to;
    if (l.to >= l.files)
        return sm_fail(ei, SM_E_ARG, "--to-file %" PRIu64 " is beyond the last file, %" PRIu64, l.to, l.files - 1);
    if (l.from > l.to)
        return sm_fail(ei, SM_E_ARG, "--from-file %" PRIu64 " is beyond %s %" PRIu64, l.from,
                       to == SM_LAYOUT_ALL ? "the last file," : "--to-file", l.to);
    *out = l;
    return SM_OK;
}

uint64_t sm_layout_file_labels(const struct sm_layout *l, uint64_t i)
{
    if (i >= l->files) return 0;
    return i + 1 < l->files ? l->labels_per_file : l->num_labels - i * l->labels_per_file;
}

uint64_t sm_layout_file_first(const struct sm_layout *l, uint64_t i)
{
    return i * l->labels_per_file;
}

uint64_t sm_layout_subset_labels(const struct sm_layout *l)
{
    if (l->from > l->to) return 0;
    return sm_layout_file_first(l, l->to) + sm_layout_file_labels(l, l->to) - sm_layout_file_first(l, l->from);
}

char *sm_layout_file_name(uint64_t i, char out[64])
{
    (void)snprintf(out, 64, "postdata_%" PRIu64 ".bin", i);
    return out;
}
