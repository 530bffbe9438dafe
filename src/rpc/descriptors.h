/* rpc/descriptors.h: finding files and symbols in encoded google.protobuf.FileDescriptorSets, without decoding them
 * as a whole. The sets come from the build (sm_proto() in CMakeLists.txt); a malformed one only hides what is behind
 * the fault. Views into the sets, which must outlive them. */
#ifndef SM_RPC_DESCRIPTORS_H
#define SM_RPC_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/bytes.h"

struct sm_proto_file {
    struct sm_slice bytes; /* encoded FileDescriptorProto */
    struct sm_slice name;  /* "spacemesh/v1/post.proto" */
    struct sm_slice package;
};

/* Walks the files of a set: start with *at = 0; false when there are no more. */
bool sm_proto_next_file(struct sm_slice set, size_t *at, struct sm_proto_file *out);
/* Walks the names of the files that a file imports; as above. */
bool sm_proto_next_import(const struct sm_proto_file *f, size_t *at, struct sm_slice *out_name);
/* Does the file define "package.Message", "package.Message.Nested", "package.Enum", "package.Service" or
 * "package.Service.Method"? */
bool sm_proto_defines(const struct sm_proto_file *f, struct sm_slice symbol);

#endif
