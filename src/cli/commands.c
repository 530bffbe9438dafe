#include "cli/commands.h"

// clang-format off
const struct sm_command *const sm_commands[] = {
    &sm_cmd_devices,
    &sm_cmd_init,
    &sm_cmd_merge,
    &sm_cmd_grow,
    &sm_cmd_shrink,
    &sm_cmd_verify,
    &sm_cmd_nonce,
    &sm_cmd_prove,
    &sm_cmd_verify_proof,
    &sm_cmd_hub,
    &sm_cmd_top,
    &sm_cmd_info,
    &sm_cmd_bench,
    &sm_cmd_doctor,
    &sm_cmd_decode,
    &sm_cmd_address,
    &sm_cmd_keys_new,
    &sm_cmd_keys_import,
    &sm_cmd_keys_list,
    &sm_cmd_keys_show,
    &sm_cmd_keys_export_journal,
    &sm_cmd_keys_import_journal,
    &sm_cmd_rig,
    &sm_cmd_signer,
    &sm_cmd_k2pow,
    &sm_cmd_config_dump,
    &sm_cmd_version,
    NULL,
};
// clang-format on
