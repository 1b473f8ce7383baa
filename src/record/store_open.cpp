// SPDX-License-Identifier: BSD-3-Clause
// Opening, sealing and closing.
#include <unistd.h>

#include "record/lock_file.hpp"
#include "record/staging.hpp"
#include "record/store.hpp"

namespace dlscale {

using hdf5::checked;

namespace {

constexpr std::int64_t page_bytes = 4096;  ///< the smallest page of any system we run on

hdf5::Properties access_properties() {
  hdf5::Properties access(checked(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate"));
  checked(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), "H5Pset_libver_bounds");
  // A handle of ours left open makes H5Fclose fail, instead of leaving the file open unseen.
  checked(H5Pset_fclose_degree(access.get(), H5F_CLOSE_SEMI), "H5Pset_fclose_degree");
  return access;
}

}  // namespace

Store Store::create(const std::string& path) {
  const hdf5::Properties access = access_properties();
  const hdf5::Properties creation(checked(H5Pcreate(H5P_FILE_CREATE), "H5Pcreate"));
  // The kernel may end a write(2) of a killed process between two pages. Metadata that never crosses a
  // page is written whole or not at all; without this, one kill in some dozens tore an array's header,
  // and lost the array.
  checked(H5Pset_file_space_strategy(creation.get(), H5F_FSPACE_STRATEGY_PAGE, false, 1),
          "H5Pset_file_space_strategy");
  checked(H5Pset_file_space_page_size(creation.get(), page_bytes), "H5Pset_file_space_page_size");
  return Store(hdf5::File(checked(H5Fcreate(path.c_str(), H5F_ACC_EXCL, creation.get(), access.get()),
                                  "H5Fcreate " + path)));
}

Store Store::open_reader(const std::string& path) {
  const hdf5::Properties access = access_properties();
  // The library waits twice as long after each attempt: with its default of 100 a torn object would hang
  // us.
  checked(H5Pset_metadata_read_attempts(access.get(), 20), "H5Pset_metadata_read_attempts");
  return Store(hdf5::File(checked(
      H5Fopen(path.c_str(), H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access.get()), "H5Fopen " + path)));
}

Store Store::open_private(const std::string& path, std::int64_t margin_bytes) {
  // The newest chunk may reach beyond the file's end, only its first rows being written.
  const std::int64_t bytes = (file_size(path) + margin_bytes) / page_bytes * page_bytes;
  if (truncate(path.c_str(), bytes) != 0)
    throw hdf5::Failure("truncate " + path + ": " + system_reason());
  const hdf5::Properties access = access_properties();
  // The properties by which the library's own h5clear opens a file whose writer died.
  const hbool_t yes = true;
  checked(H5Pset(access.get(), "clear_status_flags", &yes), "H5Pset clear_status_flags");
  checked(H5Pset(access.get(), "skip_eof_check", &yes), "H5Pset skip_eof_check");
  Store store(hdf5::File(checked(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), "H5Fopen " + path)));
  // The end recorded at the last flush of the superblock may lie before what was written since; without
  // this, new objects would be placed over the newest samples, and these could not be read.
  checked(H5Fincrement_filesize(store.id(), 0), "H5Fincrement_filesize " + path);
  return store;
}

bool Store::opens_plainly(const std::string& path) {
  const hdf5::Properties access = access_properties();
  const hdf5::File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  H5Eclear2(H5E_DEFAULT);
  return static_cast<bool>(file);
}

void Store::seal() {
  flush();
  checked(H5Fstart_swmr_write(file_.get()), "H5Fstart_swmr_write");
  sealed_ = true;
}

void Store::flush() {
  checked(H5Fflush(file_.get(), H5F_SCOPE_LOCAL), "H5Fflush");
}

void Store::close() {
  if (file_) checked(H5Fclose(file_.release()), "H5Fclose");
}

void Store::demand_creation(const std::string& object) const {
  if (sealed_)
    throw std::logic_error("run file: " + object + " can't be created once the file is sealed");
}

bool Store::exists(const std::string& path) const {
  return checked(H5Lexists(file_.get(), path.c_str(), H5P_DEFAULT), "H5Lexists " + path) > 0;
}

}  // namespace dlscale
