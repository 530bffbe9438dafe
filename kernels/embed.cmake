# cmake -DROOT=… -DSOURCE=kernels/romix.cl -DNAME=romix -DOUT=romix.c -P embed.cmake
#
# Flattens one kernel and the headers it includes into a C array, so that an installed binary needs no source path. The
# array, not a string literal: compilers need not accept literals beyond 4095 characters.
cmake_policy(VERSION 3.25)

file(READ "${ROOT}/${SOURCE}" text)
while(text MATCHES "#include \"([^\"\n]+)\"[^\n]*\n")
  set(line "${CMAKE_MATCH_0}")
  set(header "${CMAKE_MATCH_1}")
  if(NOT EXISTS "${ROOT}/${header}")
    message(FATAL_ERROR "${SOURCE}: \"${header}\" does not exist; kernel includes start at the project root")
  endif()
  # The first inclusion is replaced by the text; the include guards would make later ones empty anyway.
  file(READ "${ROOT}/${header}" body)
  string(FIND "${text}" "${line}" at)
  string(LENGTH "${line}" length)
  math(EXPR rest "${at} + ${length}")
  string(SUBSTRING "${text}" 0 ${at} before)
  string(SUBSTRING "${text}" ${rest} -1 after)
  string(REPLACE "${line}" "" after "${after}")
  if(NOT body MATCHES "\n#define ([A-Z0-9_]+_H)\n")
    message(FATAL_ERROR "${header} has no include guard")
  endif()
  set(text "${before}${body}${after}")
endwhile()

file(WRITE "${OUT}.cl" "${text}")
file(READ "${OUT}.cl" hex HEX)
if(text MATCHES "[^\n -~]")
  message(FATAL_ERROR "${SOURCE}: kernel sources are ASCII; some drivers refuse anything else")
endif()
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE "${OUT}" "/* Generated from ${SOURCE}. */\n#include \"gpu/kernel.h\"\n\nconst char sm_kernel_${NAME}_source[] = {${bytes}0x00};\n")
