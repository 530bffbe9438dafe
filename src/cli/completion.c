/* What a shell offers after a word, written from the command and option tables. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "config/network.h"

const char *const sm_completion_shells[] = {"bash", "zsh", "fish", NULL};
enum { BASH, ZSH, FISH };

/* What the value of an option, or an operand, can be. */
typedef enum value_kind { VALUE_NONE, VALUE_ANY, VALUE_WORDS, VALUE_DIR, VALUE_FILE } value_kind;
static const char *const kind_names[] = {"none", "any", "words", "dir", "file"};

static value_kind kind_of_text(const char *metavar)
{
    if (metavar && (strstr(metavar, "FILE") || strstr(metavar, "PATH"))) return VALUE_FILE;
    if (metavar && (strstr(metavar, "DIR") || strstr(metavar, "PART"))) return VALUE_DIR;
    return VALUE_ANY;
}

static value_kind kind_of(const struct sm_option *o)
{
    if (o->kind == SM_OPTION_FLAG) return VALUE_NONE;
    if (o->kind == SM_OPTION_CHOICE) return VALUE_WORDS;
    return kind_of_text(o->metavar);
}

/* The words that are known before the user types them: choices, and the presets of --network. */
static void print_words(const struct sm_option *o)
{
    const char *sep = "";
    if (o->kind == SM_OPTION_CHOICE)
        for (size_t i = 0; o->choices[i]; i++, sep = " ") (void)printf("%s%s", sep, o->choices[i]);
    else if (strcmp(o->name, "network") == 0)
        for (size_t i = 0; sm_network_presets[i].name; i++, sep = " ")
            (void)printf("%s%s", sep, sm_network_presets[i].name);
}

/* "keys" of "keys new"; the whole name of a command of one word. */
static size_t first_word(const struct sm_command *c)
{
    return strcspn(c->name, " ");
}

static bool same_first_word(const struct sm_command *a, const struct sm_command *b)
{
    return first_word(a) == first_word(b) && strncmp(a->name, b->name, first_word(a)) == 0;
}

/* The command is the first of those of two words that share their first; commands of one group stand together. */
static bool opens_group(const struct sm_command *const *c)
{
    return (*c)->name[first_word(*c)] && (c == sm_commands || !same_first_word(c[-1], *c));
}

/* Text inside single quotes of a shell; characters of `escaped` get a backslash, `'` ends and reopens the quotes. */
static void print_quoted(const char *text, const char *escaped)
{
    for (; *text; text++) {
        if (*text == '\'')
            (void)printf("'\\''");
        else
            (void)printf("%s%c", strchr(escaped, *text) ? "\\" : "", *text);
    }
}

/* The words that may follow "smesher" (group NULL) or the first word of a group. */
static void print_next_words(const struct sm_command *group)
{
    const char *sep = "";
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        const size_t n = first_word(*c);
        if ((*c)->hidden || (group ? !same_first_word(*c, group) : (*c)->name[n] && !opens_group(c))) continue;
        if (group)
            (void)printf("%s%s", sep, (*c)->name + n + 1);
        else
            (void)printf("%s%.*s", sep, (int)n, (*c)->name);
        sep = " ";
    }
}

/* ---- bash ---- */

/* Rows "[init]='--dir --network …'" and "[init --dir]='dir:'"; an option of every command has no command before it. */
static void bash_names(const char *command, const struct sm_option *o)
{
    (void)printf("    [%s ]='", command);
    for (const char *sep = ""; o->name; o++) {
        if (o->hidden) continue;
        (void)printf("%s--%s", sep, o->name);
        sep = " ";
    }
    (void)printf("'\n");
}

static void bash_values(const char *command, const struct sm_option *o)
{
    for (; o->name; o++) {
        if (o->hidden || kind_of(o) == VALUE_NONE) continue;
        (void)printf("    [%s --%s]='%s:", command, o->name, kind_names[kind_of(o)]);
        print_words(o);
        (void)printf("'\n");
    }
}

static const char bash_body[] =
    "_smesher()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' kind='' values='' i\n"
    "    # --name=value arrives as three words.\n"
    "    if [[ $cur == = ]]; then\n"
    "        cur=''\n"
    "    elif [[ $prev == = ]]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        -*)\n"
    "            # Options of every command may stand before the command, with their values.\n"
    "            [[ ! ${_smesher_value[\" ${COMP_WORDS[i]}\"]} ]] || i=$((i + 1))\n"
    "            [[ ${COMP_WORDS[i]} != = ]] || i=$((i + 1))\n"
    "            ;;\n"
    "        help) ;;\n"
    "        *)\n"
    "            command=${COMP_WORDS[i]}\n"
    "            break\n"
    "            ;;\n"
    "        esac\n"
    "    done\n"
    "    if [[ $command && ${_smesher_next[$command ]} ]] && ((i + 1 < COMP_CWORD)); then\n"
    "        command+=\" ${COMP_WORDS[i + 1]}\"\n"
    "    fi\n"
    "    values=${_smesher_value[$command $prev]:-${_smesher_value[\" $prev\"]}}\n"
    "    kind=${values%%:*} values=${values#*:}\n"
    "    if [[ ! $kind && $cur == -* ]]; then\n"
    "        values=\"${_smesher_option[$command ]} ${_smesher_option[ ]}\"\n"
    "    elif [[ ! $kind ]]; then\n"
    "        values=${_smesher_next[$command ]} kind=${_smesher_operand[$command ]}\n"
    "    fi\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$cur\")\n"
    "    case $kind in\n"
    "    dir) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
    "    file) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
    "    *) return 0 ;;\n"
    "    esac\n"
    "    compopt -o filenames 2>/dev/null || true\n"
    "}\n"
    "complete -F _smesher smesher\n";

/* Keys end with a blank: an associative array of bash has no empty key. */
static void bash_print(void)
{
    (void)printf("# bash completion for smesher, written by: smesher --completion bash\n"
                 "declare -gA _smesher_option=(\n");
    bash_names("", sm_cli_global_options);
    for (const struct sm_command *const *c = sm_commands; *c; c++)
        if (!(*c)->hidden) bash_names((*c)->name, (*c)->options);
    (void)printf(")\ndeclare -gA _smesher_value=(\n");
    bash_values("", sm_cli_global_options);
    for (const struct sm_command *const *c = sm_commands; *c; c++)
        if (!(*c)->hidden) bash_values((*c)->name, (*c)->options);
    (void)printf(")\ndeclare -gA _smesher_operand=(\n");
    for (const struct sm_command *const *c = sm_commands; *c; c++)
        if (!(*c)->hidden && (*c)->operands)
            (void)printf("    [%s ]='%s'\n", (*c)->name, kind_names[kind_of_text((*c)->operands)]);
    (void)printf(")\ndeclare -gA _smesher_next=(\n    [ ]='");
    print_next_words(NULL);
    (void)printf(" help'\n");
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        if (!opens_group(c)) continue;
        (void)printf("    [%.*s ]='", (int)first_word(*c), (*c)->name);
        print_next_words(*c);
        (void)printf("'\n");
    }
    (void)printf(")\n%s", bash_body);
}

/* ---- zsh ---- */

static void zsh_option(const struct sm_option *o)
{
    const value_kind kind = kind_of(o);
    const bool words = kind == VALUE_WORDS || strcmp(o->name, "network") == 0;
    (void)printf("            '%s--%s%s[", o->kind == SM_OPTION_LIST ? "*" : "", o->name,
                 kind == VALUE_NONE ? "" : "=");
    print_quoted(o->help, "[]:\\");
    (void)printf("]");
    if (kind != VALUE_NONE) {
        (void)printf(":");
        print_quoted(o->metavar ? o->metavar : o->name, ":\\");
        (void)printf(":");
    }
    if (words) {
        (void)printf("{compadd ");
        print_words(o);
        (void)printf("%s}", kind == VALUE_FILE ? "; _files" : "");
    } else if (kind == VALUE_DIR) {
        (void)printf("_files -/");
    } else if (kind == VALUE_FILE) {
        (void)printf("_files");
    }
    (void)printf("'\n");
}

static void zsh_options(const struct sm_option *o)
{
    for (; o->name; o++)
        if (!o->hidden) zsh_option(o);
}

static void zsh_commands(void)
{
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        if ((*c)->hidden) continue;
        (void)printf("    '%s')\n        own=(\n", (*c)->name);
        zsh_options((*c)->options);
        if ((*c)->operands)
            (void)printf("            '*: :%s'\n", kind_of_text((*c)->operands) == VALUE_ANY ? " " : "_files");
        (void)printf("        )\n        ;;\n");
    }
}

/* name:summary of each command; the two words of a command of a group are offered as one choice after the other. */
static void zsh_describe(void)
{
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        if ((*c)->hidden || (*c)->name[first_word(*c)]) continue;
        (void)printf("        '%s:", (*c)->name);
        print_quoted((*c)->summary, ":\\");
        (void)printf("'\n");
    }
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        if (!opens_group(c)) continue;
        (void)printf("        '%.*s:", (int)first_word(*c), (*c)->name);
        print_next_words(*c);
        (void)printf("'\n");
    }
}

static void zsh_groups(void)
{
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        if (!opens_group(c)) continue;
        (void)printf("    %.*s)\n        if ((CURRENT == at + 1)); then\n            compadd ", (int)first_word(*c),
                     (*c)->name);
        print_next_words(*c);
        (void)printf("\n            return\n        fi\n        command=\"$words[at] $words[at + 1]\" at=$((at + 1))\n"
                     "        ;;\n");
    }
}

static void zsh_print(void)
{
    (void)printf("#compdef smesher\n# zsh completion for smesher, written by: smesher --completion zsh\n"
                 "_smesher() {\n"
                 "    local -a own every commands\n"
                 "    local command= at=2\n"
                 "    every=(\n");
    zsh_options(sm_cli_global_options);
    (void)printf("    )\n    commands=(\n");
    zsh_describe();
    (void)printf("    )\n"
                 "    while ((at < CURRENT)) && [[ $words[at] == -* || $words[at] == help ]]; do\n"
                 "        [[ -n ${(M)every:#*$words[at]=*} ]] && at=$((at + 1))\n"
                 "        at=$((at + 1))\n    done\n"
                 "    if ((at >= CURRENT)); then\n"
                 "        if [[ $PREFIX == -* ]] || ((at > CURRENT)); then\n            _arguments $every\n"
                 "        else\n            _describe command commands\n        fi\n"
                 "        return\n    fi\n"
                 "    command=$words[at]\n"
                 "    case $command in\n");
    zsh_groups();
    (void)printf("    esac\n    case $command in\n");
    zsh_commands();
    (void)printf("    esac\n"
                 "    shift $((at - 1)) words\n"
                 "    CURRENT=$((CURRENT - at + 1))\n"
                 "    _arguments $own $every\n"
                 "}\n"
                 "if [[ $funcstack[1] == _smesher ]]; then\n    _smesher \"$@\"\nelse\n"
                 "    compdef _smesher smesher\nfi\n");
}

/* ---- fish ---- */

static void fish_option(const char *condition, const struct sm_option *o)
{
    (void)printf("complete -c smesher -n '%s' -l %s -d '", condition, o->name);
    print_quoted(o->help, "\\");
    (void)printf("'");
    const value_kind kind = kind_of(o);
    if (kind == VALUE_DIR)
        (void)printf(" -x -a '(__fish_complete_directories)'");
    else if (kind == VALUE_FILE)
        (void)printf(" -r -F");
    else if (kind != VALUE_NONE)
        (void)printf(" -x");
    if (kind == VALUE_WORDS || strcmp(o->name, "network") == 0) {
        (void)printf(" -a '");
        print_words(o);
        (void)printf("'");
    }
    (void)printf("\n");
}

static void fish_command(const struct sm_command *c)
{
    const size_t n = first_word(c);
    char condition[128];
    if (c->name[n]) {
        (void)printf(
            "complete -c smesher -n '__fish_seen_subcommand_from %.*s; and not __fish_seen_subcommand_from %s' "
            "-f -a %s -d '",
            (int)n, c->name, c->name + n + 1, c->name + n + 1);
        (void)snprintf(condition, sizeof condition,
                       "__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s", (int)n, c->name,
                       c->name + n + 1);
    } else {
        (void)printf("complete -c smesher -n __fish_use_subcommand -f -a %s -d '", c->name);
        (void)snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", c->name);
    }
    print_quoted(c->summary, "\\");
    (void)printf("'\n");
    if (!c->operands || kind_of_text(c->operands) == VALUE_ANY)
        (void)printf("complete -c smesher -n '%s' -f\n", condition);
    for (const struct sm_option *o = c->options; o->name; o++)
        if (!o->hidden) fish_option(condition, o);
}

static void fish_print(void)
{
    (void)printf("# fish completion for smesher, written by: smesher --completion fish\n");
    for (const struct sm_option *o = sm_cli_global_options; o->name; o++)
        if (!o->hidden) fish_option("true", o);
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        if (opens_group(c))
            (void)printf("complete -c smesher -n __fish_use_subcommand -f -a %.*s\n", (int)first_word(*c), (*c)->name);
        if (!(*c)->hidden) fish_command(*c);
    }
}

void sm_completion_print(uint32_t shell)
{
    if (shell == BASH) bash_print();
    if (shell == ZSH) zsh_print();
    if (shell == FISH) fish_print();
}
