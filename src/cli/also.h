/* cli/also.h: --also DIR[=SIZE]: further directories of a data set, one per disk (post/spread.h). */
#ifndef SM_CLI_ALSO_H
#define SM_CLI_ALSO_H

#include "cli/option.h"
#include "post/spread.h"

struct sm_also {
    struct sm_spread_want *v; /* owned; the texts are those of the options */
    size_t n;
};

/* "DIR" or "DIR=SIZE"; what follows the last '=' is a size when it reads as one, else part of the name. */
SM_MUST_CHECK sm_err sm_also_parse(const struct sm_text_list *list, struct sm_also *out, struct sm_errinfo *ei);
void sm_also_fini(struct sm_also *a);

#endif
