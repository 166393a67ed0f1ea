# What belongs on a host that runs carpd: `cmake --install BUILD --component carpd`, and the Debian package.
include(GNUInstallDirs)
install(TARGETS carpd carpctl DESTINATION sbin COMPONENT carpd)
foreach(section 5 8)
  file(GLOB manuals ${PROJECT_SOURCE_DIR}/docs/man/*.${section})
  install(FILES ${manuals} DESTINATION share/man/man${section} COMPONENT carpd)
endforeach()
set(packaging ${PROJECT_SOURCE_DIR}/packaging)
install(FILES ${packaging}/systemd/carpd.service ${packaging}/systemd/carpd@.service
        DESTINATION lib/systemd/system COMPONENT carpd)
install(FILES ${packaging}/systemd/carpd.sysusers DESTINATION lib/sysusers.d RENAME carpd.conf COMPONENT carpd)
install(FILES ${packaging}/systemd/10-carpd.network DESTINATION lib/systemd/network COMPONENT carpd)
install(FILES ${packaging}/systemd/10-carpd.conf DESTINATION lib/NetworkManager/conf.d COMPONENT carpd)
foreach(program carpctl carpd)
  install(FILES ${packaging}/completion/carpctl.bash DESTINATION share/bash-completion/completions RENAME ${program}
          COMPONENT carpd)
  install(FILES ${packaging}/completion/carpctl.fish DESTINATION share/fish/vendor_completions.d RENAME ${program}.fish
          COMPONENT carpd)
endforeach()
install(FILES ${packaging}/completion/carpctl.zsh DESTINATION share/zsh/vendor-completions RENAME _carpctl COMPONENT carpd)
foreach(document README.md docs/pains.md docs/doctor.md)
  install(FILES ${PROJECT_SOURCE_DIR}/${document} DESTINATION share/doc/carpd COMPONENT carpd)
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/protocol DESTINATION share/doc/carpd COMPONENT carpd)
