/* cli/doctor.h: the examinations of `smesher doctor`: each looks at one thing, says what it found, and what to do. */
#ifndef SM_CLI_DOCTOR_H
#define SM_CLI_DOCTOR_H

#include <stddef.h>
#include <stdint.h>

#include "util/cancel.h"

typedef enum sm_finding_level { SM_FINDING_OK, SM_FINDING_NOTE, SM_FINDING_WARN, SM_FINDING_BAD } sm_finding_level;

struct sm_finding {
    sm_finding_level level;
    char topic[24];
    char text[400];
    char advice[300]; /* empty when there is nothing to do */
};

#define SM_FINDINGS_MAX 64u
struct sm_findings {
    struct sm_finding list[SM_FINDINGS_MAX];
    size_t n;
};

void sm_doctor_cpu(struct sm_findings *f);
void sm_doctor_self_test(struct sm_findings *f); /* labels and AES against known answers; about a tenth of a second */
void sm_doctor_randomx(struct sm_findings *f, const struct sm_cancel *cancel); /* about a second */
void sm_doctor_memory(struct sm_findings *f);
void sm_doctor_huge_pages(struct sm_findings *f);
void sm_doctor_opencl(struct sm_findings *f);
void sm_doctor_clock(struct sm_findings *f);
/* File system, free space, direct I/O and, when `bytes` is not 0, speed measured with a temporary file of that size. */
void sm_doctor_disk(struct sm_findings *f, const char *dir, uint64_t bytes, const struct sm_cancel *cancel);
/* Metadata, files, side file and key of a data directory against each other. */
void sm_doctor_data(struct sm_findings *f, const char *dir);

#endif
