// SPDX-License-Identifier: BSD-3-Clause
// The libraries that are really loaded, and what they say of themselves.
#include <dlfcn.h>
#include <elf.h>
#include <hdf5.h>
#include <link.h>

#include <cctype>
#include <cstring>
#include <filesystem>

#include "record/provenance.hpp"
#include "record/system_facts.hpp"

namespace dlscale {
namespace {

std::string hex(const unsigned char* bytes, std::size_t count) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

std::size_t padded4(std::size_t size) {
  return (size + 3) & ~std::size_t{3};
}

/// The GNU build id among an object's notes (elf(5)); empty if it was linked without.
std::string build_id_of(const dl_phdr_info& object) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const auto& segment = object.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const auto* at = reinterpret_cast<const unsigned char*>(object.dlpi_addr + segment.p_vaddr);
    const auto* end = at + segment.p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const auto* name = at + sizeof note;
      const auto* description = name + padded4(note.n_namesz);
      if (description + note.n_descsz > end) break;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0)
        return hex(description, note.n_descsz);
      at = description + padded4(note.n_descsz);
    }
  }
  return {};
}

/// "libopenblas-r0.3.21.so" → "0.3.21", "libmpi.so.40.30.4" → "40.30.4".
std::string version_in_name(const std::string& file) {
  if (const auto at = file.find(".so."); at != std::string::npos) return file.substr(at + 4);
  auto end = file.rfind(".so");
  if (end == std::string::npos) return {};
  auto begin = end;
  while (begin > 0 &&
         (std::isdigit(static_cast<unsigned char>(file[begin - 1])) != 0 || file[begin - 1] == '.'))
    --begin;
  return file.substr(begin, end - begin);
}

std::string real_path(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  return error ? path : real.string();
}

int visit_object(dl_phdr_info* object, std::size_t, void* out) {
  const std::string name = object->dlpi_name == nullptr ? "" : object->dlpi_name;
  if (name.find('/') == std::string::npos) return 0;  // the program itself and the kernel's vdso
  const std::string path = real_path(name);
  static_cast<std::vector<LoadedLibrary>*>(out)->push_back(
      {path, version_in_name(std::filesystem::path(path).filename().string()), build_id_of(*object)});
  return 0;
}

template <class Function>
Function* symbol(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

std::vector<LoadedLibrary> loaded_libraries() {
  std::vector<LoadedLibrary> libraries;
  dl_iterate_phdr(visit_object, &libraries);
  return libraries;
}

std::string executable_build_id() {
  std::string id;
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* out) {
        *static_cast<std::string*>(out) = build_id_of(*object);
        return 1;  // the program is the first object
      },
      &id);
  return id;
}

std::string mpi_library_version() {
  auto* get = symbol<int(char*, int*)>("MPI_Get_library_version");
  if (get == nullptr) return {};
  // Allowed before MPI_Init (MPI-3.1, 8.1); 8192 is the largest MPI_MAX_LIBRARY_VERSION_STRING of any
  // implementation.
  std::string text(16384, '\0');
  int length = 0;
  if (get(text.data(), &length) != 0 || length < 0) return {};
  text = text.c_str();
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  return text;
}

std::string hdf5_library_version() {
  unsigned major = 0, minor = 0, release = 0;
  if (H5get_libversion(&major, &minor, &release) < 0) return {};
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

}  // namespace dlscale
