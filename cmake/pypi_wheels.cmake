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

# CMake also refuses to export include folders inside the source tree, which is where those of
# NumPy are when .venv lies there: they matter to this build alone.
function(_armseg_hide_source_includes)
  set(target ${PROJECT_NAME}__rosidl_generator_py)
  if(TARGET ${target})
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    list(TRANSFORM folders REPLACE "^(${CMAKE_CURRENT_SOURCE_DIR}/.*)$" "$<BUILD_INTERFACE:\\1>")
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${folders}")
  endif()
endfunction()

# Targets of the packages that rosidl_generate_interfaces() finds exist only at the end.
cmake_language(DEFER CALL _armseg_drop_missing_includes)
cmake_language(DEFER CALL _armseg_hide_source_includes)
