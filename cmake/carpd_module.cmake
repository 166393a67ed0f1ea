# carpd_module(NAME [PURE] [LINKS folder...] [PRIVATE_LINKS target...])
#
# Makes src/NAME a library carpd_NAME. Beside x.cc may stand x_test.cc (joined into the test program NAME_test) and
# x_fuzz.cc (a program x_fuzz of its own, a libFuzzer).
# LINKS names the folders it may include, which is how CMake keeps the layering rule.
# PURE builds without exceptions and run-time types: such a folder makes no system call and reads no clock.
function(carpd_module name)
  cmake_parse_arguments(ARG "PURE" "" "LINKS;PRIVATE_LINKS" ${ARGN})
  carpd_glob(${name})
  list(TRANSFORM ARG_LINKS PREPEND carpd_)

  if(sources)
    add_library(carpd_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(carpd_${name} PRIVATE ${ARG_PRIVATE_LINKS})
  else()
    add_library(carpd_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(carpd_${name} ${scope} ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(carpd_${name} ${scope} ${ARG_LINKS})
  if(ARG_PURE AND sources)
    target_compile_options(carpd_${name} PRIVATE -fno-exceptions -fno-rtti)
  endif()
  carpd_tests(${name} carpd_${name} ${ARG_PRIVATE_LINKS})
  foreach(source ${fuzzers})
    carpd_fuzzer(${source} carpd_${name} ${ARG_PRIVATE_LINKS})
  endforeach()
endfunction()

# carpd_program(NAME [LINKS folder...] [PRIVATE_LINKS target...]): src/NAME as a program; what stands there beside
# main.cc is a library too, so that it can be tested.
function(carpd_program name)
  cmake_parse_arguments(ARG "" "" "LINKS;PRIVATE_LINKS" ${ARGN})
  carpd_glob(${name})
  list(TRANSFORM ARG_LINKS PREPEND carpd_)
  list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/src/${name}/main.cc)

  set(parts ${ARG_LINKS} ${ARG_PRIVATE_LINKS})
  if(sources)
    add_library(${name}_parts STATIC ${sources})
    target_include_directories(${name}_parts PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${name}_parts PUBLIC ${parts})
    target_compile_definitions(${name}_parts PUBLIC CARPD_VERSION="${PROJECT_VERSION}")
    set(parts ${name}_parts)
  endif()
  add_executable(${name} ${PROJECT_SOURCE_DIR}/src/${name}/main.cc)
  target_link_libraries(${name} PRIVATE ${parts})
  target_compile_definitions(${name} PRIVATE CARPD_VERSION="${PROJECT_VERSION}")
  carpd_tests(${name} ${parts})
  foreach(source ${fuzzers})
    carpd_fuzzer(${source} ${parts})
  endforeach()
endfunction()

# Sets `sources`, `tests` and `fuzzers` of src/NAME in the caller.
macro(carpd_glob name)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cc)
  file(GLOB tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*_test.cc)
  file(GLOB fuzzers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*_fuzz.cc)
  list(REMOVE_ITEM sources ${tests} ${fuzzers})
endmacro()

# The caller's `tests` as the program NAME_test, linked with the remaining arguments.
function(carpd_tests name)
  if(NOT tests OR NOT CARPD_CHECK)
    return()
  endif()
  add_executable(${name}_test ${tests})
  target_link_libraries(${name}_test ${ARGN} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE CARPD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})  # for what tests share
  gtest_discover_tests(${name}_test NO_PRETTY_VALUES TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120)
endfunction()

# x_fuzz.cc linked with the remaining arguments. As a test it runs over its corpus, and then for a moment.
function(carpd_fuzzer source)
  if(NOT CARPD_CHECK)
    return()
  endif()
  get_filename_component(fuzzer ${source} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" subject ${fuzzer})
  add_executable(${fuzzer} ${source})
  target_link_options(${fuzzer} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${fuzzer} ${ARGN})
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/corpus/${subject})  # what it finds goes here
  add_test(NAME fuzz.${subject} COMMAND ${fuzzer} -max_total_time=3 -timeout=10 ${CMAKE_BINARY_DIR}/corpus/${subject}
                                        ${PROJECT_SOURCE_DIR}/fuzz/corpus/${subject})
endfunction()
