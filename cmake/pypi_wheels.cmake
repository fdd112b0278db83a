# Include after find_package(). The ROS wheels on PyPI export targets whose include folders are
# those of the machine that built them (/opt/python/cp311-...), which CMake refuses. Dropping
# folders that do not exist repairs that, and changes nothing with an apt installation.
function(_armseg_drop_missing_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders)
      set(existing "")
      foreach(folder IN LISTS folders)
        if(folder MATCHES "^\\$<" OR EXISTS "${folder}")
          list(APPEND existing "${folder}")
        endif()
      endforeach()
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${existing}")
    endif()
  endforeach()
endfunction()

# Targets of the packages that rosidl_generate_interfaces() finds exist only at the end.
cmake_language(DEFER CALL _armseg_drop_missing_includes)
