/* The daemon's configuration: no input crashes or leaks, and every refusal has a sentence. */
#include <stdint.h>
#include <stdlib.h>

#include "rig/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sm_errinfo ei = {0};
    struct sm_rig_cfg cfg;
    sm_rig_cfg_init(&cfg);
    if (sm_rig_cfg_parse(&cfg, (const char *)data, size, "fuzz", "/etc", &ei)) {
        if (!ei.text[0]) abort();
    } else if (sm_rig_cfg_check(&cfg, &ei) && !ei.text[0]) {
        abort();
    }
    sm_rig_cfg_fini(&cfg);
    return 0;
}
