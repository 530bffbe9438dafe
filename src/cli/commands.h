/* cli/commands.h: one declaration per cli/cmd_NAME.c; the table sm_commands is in cli/commands.c. */
#ifndef SM_CLI_COMMANDS_H
#define SM_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct sm_command sm_cmd_address;
extern const struct sm_command sm_cmd_bench;
extern const struct sm_command sm_cmd_config_dump;
extern const struct sm_command sm_cmd_decode;
extern const struct sm_command sm_cmd_devices;
extern const struct sm_command sm_cmd_disks;
extern const struct sm_command sm_cmd_doctor;
extern const struct sm_command sm_cmd_grow;
extern const struct sm_command sm_cmd_hub;
extern const struct sm_command sm_cmd_info;
extern const struct sm_command sm_cmd_init;
extern const struct sm_command sm_cmd_k2pow;
extern const struct sm_command sm_cmd_keys_export_journal;
extern const struct sm_command sm_cmd_keys_import;
extern const struct sm_command sm_cmd_keys_import_journal;
extern const struct sm_command sm_cmd_keys_list;
extern const struct sm_command sm_cmd_keys_new;
extern const struct sm_command sm_cmd_keys_show;
extern const struct sm_command sm_cmd_merge;
extern const struct sm_command sm_cmd_nonce;
extern const struct sm_command sm_cmd_prove;
extern const struct sm_command sm_cmd_queue;
extern const struct sm_command sm_cmd_shrink;
extern const struct sm_command sm_cmd_rig;
extern const struct sm_command sm_cmd_signer;
extern const struct sm_command sm_cmd_top;
extern const struct sm_command sm_cmd_verify;
extern const struct sm_command sm_cmd_verify_proof;
extern const struct sm_command sm_cmd_version;

#endif
