# cmake -DOUTPUT=x.c -DINPUTS="a/mainnet.yaml;…" -P embed_text.cmake: the preset files as C byte arrays.
set(arrays "")
set(rows "")
foreach(input ${INPUTS})
  get_filename_component(name ${input} NAME_WE)
  file(READ ${input} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n    "
    bytes "${bytes}")
  string(APPEND arrays "static const unsigned char yaml_${name}[] = {\n    ${bytes}0x00};\n")
  string(APPEND rows "    {\"${name}\", yaml_${name}},\n")
endforeach()
file(WRITE ${OUTPUT}
  "#include \"config/network.h\"\n\n${arrays}\nconst struct sm_network_preset sm_network_presets[] = {\n${rows}    {0},\n};\n")
