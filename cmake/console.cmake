# The web console: web/ is built by npm, compressed, and embedded into the binary. Where it cannot be
# built the binary answers `/` with a short text and everything else works.
find_program(NODE node PATHS ${CMAKE_SOURCE_DIR}/build/node/bin NO_DEFAULT_PATH) # tools/node
find_program(NODE node)
find_program(NPM npm)
set(console_possible OFF)
if(NODE AND NPM)
    execute_process(COMMAND ${NODE} -p "process.versions.node" OUTPUT_VARIABLE node_version
        OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(node_version VERSION_GREATER_EQUAL 20.19)
        set(console_possible ON)
    endif()
endif()
option(COVE_CONSOLE "embed the web console (needs node >= 20.19 and npm)" ${console_possible})
if(NOT COVE_CONSOLE)
    return()
endif()

set(console_dir ${CMAKE_BINARY_DIR}/console)
file(GLOB_RECURSE console_sources CONFIGURE_DEPENDS web/src/* web/public/*)
add_custom_command(
    OUTPUT ${console_dir}/console_assets.S ${console_dir}/console_assets.h
    COMMAND ${CMAKE_SOURCE_DIR}/tools/console ${console_dir}
    DEPENDS ${console_sources} web/index.html web/package.json web/package-lock.json
        web/vite.config.js web/embed.mjs web/lint.mjs tools/console
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    COMMENT "web console")
target_sources(rooms PRIVATE ${console_dir}/console_assets.S ${console_dir}/console_assets.h)
set_source_files_properties(src/api/console.c PROPERTIES
    COMPILE_DEFINITIONS COVE_CONSOLE=1 INCLUDE_DIRECTORIES ${console_dir}
    OBJECT_DEPENDS ${console_dir}/console_assets.h)
