# cmake -DINPUT=a.bin -DNAME=x -DOUTPUT=x -P embed_bytes.cmake: OUTPUT.c and OUTPUT.h with the bytes of a file as `struct sm_slice NAME`.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n    " bytes
  "${bytes}")
get_filename_component(header ${OUTPUT}.h NAME)
file(WRITE ${OUTPUT}.h "#pragma once\n#include \"util/bytes.h\"\n\nextern const struct sm_slice ${NAME};\n")
file(WRITE ${OUTPUT}.c "#include <${header}>\n\nstatic const uint8_t bytes[] = {\n    ${bytes}};\n"
  "const struct sm_slice ${NAME} = {bytes, sizeof bytes};\n")
