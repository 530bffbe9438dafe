# cmake -DINPUT=tuning.yaml -DNAME=sm_tuning_shipped -DOUTPUT=tuning.c -P embed_tuning.cmake: a text as a C array.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT} "extern const char ${NAME}[];\nconst char ${NAME}[] = {${bytes}0x00};\n")
