#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct exit_text {
    sm_exit status;
    const char *text;
} exit_texts[] = {
    {SM_EXIT_DONE, "done"},
    {SM_EXIT_FAILED, "failed: disk, memory, device"},
    {SM_EXIT_USAGE, "the command line is wrong; nothing was done"},
    {SM_EXIT_CONFIG, "configuration, metadata or an input file is malformed or contradicts what exists"},
    {SM_EXIT_NO, "the check ran and the answer is no: bad labels, invalid proof, no nonce found"},
    {SM_EXIT_INTERRUPTED, "stopped by a signal; finished work is saved, run the command again to continue"},
    {SM_EXIT_DEGRADED, "done, and all labels are right, but a device failed or computed wrong ones and was left out"},
};

static const struct env_text {
    const char *name, *text;
} env_texts[] = {
    {"SM_DIR", "default of --dir"},
    {"SM_NETWORK", "default of --network"},
    {"SM_POST_KEY", "replaces one network parameter, for example SM_POST_K1=12; --param is stronger"},
    {"SM_CPU_ISA", "default of --variant"},
    {"SM_AES_ISA", "AES variant of the proof scan: ref, aesni, vaes256, vaes512, armaes"},
    {"SM_CACHE_DIR", "where tuning results are kept (otherwise $XDG_CACHE_HOME/smesher or ~/.cache/smesher)"},
    {"SM_LOG_LEVEL", "default of --log-level"},
    {"NO_COLOR", "when not empty: no colours"},
    {"POST_OCL_PLATFORMS_BLACKLIST", "regular expression; OpenCL platforms whose name matches are ignored"},
    {"POST_OCL_DEVICES_BLACKLIST", "regular expression; OpenCL devices whose name matches are ignored"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char intro[] =
    "smesher creates Spacemesh proof-of-space-time data, keeps it healthy, and finds and checks proofs over it.";
static const char rules[] =
    "Results are printed on stdout, log lines and progress on stderr. A value given by an option is stronger than the "
    "environment, the environment is stronger than a network file, the file is stronger than a preset.";

static unsigned terminal_width(void)
{
    struct winsize w;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col < 40) return 80;
    return w.ws_col > 110 ? 110 : w.ws_col;
}

/* Prints `text` wrapped into columns [indent, width); the cursor is at column `at`. */
static void print_wrapped(const char *text, size_t at, size_t indent, size_t width)
{
    while (*text) {
        const size_t word = strcspn(text, " \n");
        if (at > indent && at + 1 + word > width) {
            (void)putchar('\n');
            at = 0;
        }
        if (at < indent) {
            (void)printf("%*s", (int)(indent - at), "");
            at = indent;
        } else if (at > indent) {
            (void)putchar(' ');
            at++;
        }
        (void)printf("%.*s", (int)word, text);
        at += word;
        text += word;
        const bool paragraph = text[0] == '\n' && text[1] == '\n';
        if (paragraph) {
            (void)printf("\n\n");
            at = 0;
        }
        text += strspn(text, " \n");
    }
    (void)putchar('\n');
}

/* "--name META" or "--name a|b". */
static size_t option_head(const struct sm_option *o, char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "--%s", o->name);
    if (o->kind == SM_OPTION_CHOICE)
        for (size_t i = 0; o->choices[i] && n < room; i++)
            n += (size_t)snprintf(out + n, room - n, "%c%s", i ? '|' : ' ', o->choices[i]);
    else if (o->metavar && n < room)
        n += (size_t)snprintf(out + n, room - n, " %s", o->metavar);
    return n;
}

static void option_text(const struct sm_option *o, char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "%s", o->help);
    const char *shown = o->default_note ? o->default_note : o->default_text;
    if (n < room && o->required) n += (size_t)snprintf(out + n, room - n, " (required)");
    if (n < room && shown) n += (size_t)snprintf(out + n, room - n, " (default: %s)", shown);
    if (n < room && o->env && !strstr(o->help, o->env)) (void)snprintf(out + n, room - n, " [%s]", o->env);
}

static void print_options(const struct sm_option *o, unsigned width)
{
    enum { INDENT = 30 };
    for (; o->name; o++) {
        if (o->hidden) continue;
        char head[128], text[512];
        size_t at = option_head(o, head, sizeof head) + 2;
        option_text(o, text, sizeof text);
        (void)printf("  %s", head);
        if (at >= INDENT - 1) {
            (void)putchar('\n');
            at = 0;
        }
        print_wrapped(text, at, INDENT, width);
    }
}

static void print_exit_statuses(unsigned width)
{
    (void)printf("\nExit status:\n");
    for (size_t i = 0; i < COUNT(exit_texts); i++) {
        (void)printf("  %d", exit_texts[i].status);
        print_wrapped(exit_texts[i].text, 3, 5, width);
    }
}

static void print_program_help(unsigned width)
{
    (void)printf("usage: smesher COMMAND [OPTIONS]\n\n");
    print_wrapped(intro, 0, 0, width);
    (void)printf("\nCommands:\n");
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        if ((*c)->hidden) continue;
        const int n = printf("  %s", (*c)->name);
        print_wrapped((*c)->summary, (size_t)n, 18, width);
    }
    (void)printf("\nOptions of every command:\n");
    print_options(sm_cli_global_options, width);
    print_exit_statuses(width);
    (void)printf("\nEnvironment:\n");
    for (size_t i = 0; i < COUNT(env_texts); i++) {
        const int n = printf("  %s", env_texts[i].name);
        if (n >= 29) (void)putchar('\n');
        print_wrapped(env_texts[i].text, n >= 29 ? 0 : (size_t)n, 30, width);
    }
    (void)putchar('\n');
    print_wrapped(rules, 0, 0, width);
    (void)printf("\nsmesher COMMAND --help explains a command.\n");
}

void sm_help_print(const struct sm_command *c)
{
    const unsigned width = terminal_width();
    if (!c) {
        print_program_help(width);
        return;
    }
    (void)printf("usage: smesher %s [OPTIONS]%s%s\n\n", c->name, c->operands ? " " : "",
                 c->operands ? c->operands : "");
    (void)printf("%c", toupper((unsigned char)c->summary[0]));
    (void)printf("%s.\n", c->summary + 1);
    if (c->details) {
        (void)putchar('\n');
        print_wrapped(c->details, 0, 0, width);
    }
    if (c->options[0].name) {
        (void)printf("\nOptions:\n");
        print_options(c->options, width);
    }
    (void)printf("\nOptions of every command:\n");
    print_options(sm_cli_global_options, width);
    print_exit_statuses(width);
}

/* ---- manual page ---- */

/* Text for roff: backslashes, hyphens that are minus signs, and control characters at line starts. */
static void man_text(const char *text)
{
    bool line_start = true;
    for (; *text; text++) {
        if (text[0] == '\n' && text[1] == '\n') {
            (void)printf("\n.PP\n");
            text++;
            line_start = true;
            continue;
        }
        if (line_start && (*text == '.' || *text == '\'')) (void)printf("\\&");
        line_start = *text == '\n';
        if (*text == '\\')
            (void)printf("\\e");
        else if (*text == '-')
            (void)printf("\\-");
        else
            (void)putchar(*text);
    }
}

static void man_entry(const char *head, const char *text)
{
    (void)printf(".TP\n\\fB");
    man_text(head);
    (void)printf("\\fR\n");
    man_text(text);
    (void)putchar('\n');
}

static void man_options(const struct sm_option *o)
{
    for (; o->name; o++) {
        if (o->hidden) continue;
        char head[128], text[512];
        (void)option_head(o, head, sizeof head);
        option_text(o, text, sizeof text);
        man_entry(head, text);
    }
}

static void man_command(const struct sm_command *c)
{
    (void)printf(".SS \"");
    man_text(c->name);
    (void)printf(" [OPTIONS]%s%s\"\n", c->operands ? " " : "", c->operands ? c->operands : "");
    (void)putchar(toupper((unsigned char)c->summary[0]));
    man_text(c->summary + 1);
    (void)printf(".\n");
    if (c->details) {
        (void)printf(".PP\n");
        man_text(c->details);
        (void)putchar('\n');
    }
    man_options(c->options);
}

void sm_man_print(void)
{
    (void)printf(".\\\" Generated from the option tables: smesher --man > packaging/smesher.1\n"
                 ".TH SMESHER 1 \"\" \"smesher\" \"User Commands\"\n"
                 ".SH NAME\nsmesher \\- Spacemesh proof of space\\-time: data, proofs and checks\n"
                 ".SH SYNOPSIS\n.B smesher\n.I COMMAND\n[\\fIOPTIONS\\fR]\n"
                 ".SH DESCRIPTION\n");
    man_text(intro);
    (void)printf("\n.PP\n");
    man_text(rules);
    (void)printf("\n.SH OPTIONS OF EVERY COMMAND\n");
    man_options(sm_cli_global_options);
    (void)printf(".SH COMMANDS\n");
    for (const struct sm_command *const *c = sm_commands; *c; c++)
        if (!(*c)->hidden) man_command(*c);
    (void)printf(".SH EXIT STATUS\n");
    for (size_t i = 0; i < COUNT(exit_texts); i++) {
        const char head[] = {(char)('0' + exit_texts[i].status), '\0'};
        man_entry(head, exit_texts[i].text);
    }
    (void)printf(".SH ENVIRONMENT\n");
    for (size_t i = 0; i < COUNT(env_texts); i++) man_entry(env_texts[i].name, env_texts[i].text);
}
