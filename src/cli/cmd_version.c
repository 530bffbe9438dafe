#include <sodium.h>
#include <yaml.h>

#include "cli/commands.h"
#include "crypto/cpu.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

#if defined(__x86_64__)
#define MACHINE "x86-64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "unknown"
#endif

static const struct sm_option options[] = {SM_OPT_END};

static sm_exit run(struct sm_cli *cli, void *args)
{
    (void)args;
    sm_cli_say(cli, "smesher %s", SM_VERSION);
    sm_cli_say(cli, "built     %s, %s, %s%s", MACHINE, COMPILER, SM_BUILD_TYPE, SM_BUILD_SANITIZE);
    sm_cli_say(cli, "libraries libsodium %s, jansson %s, libyaml %s, RandomX 1", sodium_version_string(),
               jansson_version_str(), yaml_get_version_string());
    sm_cli_say(cli, "processor %s", sm_cpu()->name);
    sm_cli_json(cli,
                json_pack("{s:s, s:{s:s,s:s,s:s,s:s}, s:{s:s,s:s,s:s}, s:s}", "version", SM_VERSION, "build", "machine",
                          MACHINE, "compiler", COMPILER, "type", SM_BUILD_TYPE, "sanitizer", SM_BUILD_SANITIZE,
                          "libraries", "libsodium", sodium_version_string(), "jansson", jansson_version_str(),
                          "libyaml", yaml_get_version_string(), "processor", sm_cpu()->name));
    return SM_EXIT_DONE;
}

const struct sm_command sm_cmd_version = {
    .name = "version",
    .summary = "print the version, how it was built, and the libraries in use",
    .options = options,
    .run = run,
};
