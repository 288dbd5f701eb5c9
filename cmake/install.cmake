# `make install`: the binary, the man page, the example configuration, the systemd unit.
include(GNUInstallDirs)
if(TARGET cove)
    install(TARGETS cove RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES docs/cove.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)
install(FILES deploy/cove.yml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples OPTIONAL)
install(FILES deploy/cove.service DESTINATION lib/systemd/system OPTIONAL)
