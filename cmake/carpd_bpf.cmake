# carpd_bpf(FOLDER SOURCE VARIABLE PROGRAM [HEADER...])
#
# Compiles the BPF program PROGRAM and tells src/FOLDER/SOURCE, by the macro VARIABLE, the object file to embed.
function(carpd_bpf folder source variable program)
  get_filename_component(name ${program} NAME_WLE)
  set(object ${CMAKE_BINARY_DIR}/${name}.o)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE headers)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${BPF_CLANG} -target bpf -O2 -g -Wall -Wextra -Werror -iquote ${PROJECT_SOURCE_DIR}/src
            -I/usr/include/${CMAKE_CXX_LIBRARY_ARCHITECTURE} -c ${PROJECT_SOURCE_DIR}/${program} -o ${object}
    DEPENDS ${PROJECT_SOURCE_DIR}/${program} ${headers}
    VERBATIM)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/${folder}/${source} PROPERTIES
                              COMPILE_DEFINITIONS ${variable}="${object}" OBJECT_DEPENDS ${object})
endfunction()
