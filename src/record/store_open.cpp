// SPDX-License-Identifier: BSD-3-Clause
// Opening, sealing and closing.
#include "record/store.hpp"

namespace dlscale {

using hdf5::checked;

namespace {

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
  return Store(hdf5::File(
      checked(H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access.get()), "H5Fcreate " + path)));
}

Store Store::open_reader(const std::string& path) {
  const hdf5::Properties access = access_properties();
  return Store(hdf5::File(checked(
      H5Fopen(path.c_str(), H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access.get()), "H5Fopen " + path)));
}

Store Store::open_private(const std::string& path, hsize_t margin_bytes) {
  const hdf5::Properties access = access_properties();
  // The properties by which the library's own h5clear opens a file whose writer died.
  const hbool_t yes = true;
  checked(H5Pset(access.get(), "clear_status_flags", &yes), "H5Pset clear_status_flags");
  checked(H5Pset(access.get(), "skip_eof_check", &yes), "H5Pset skip_eof_check");
  Store store(hdf5::File(checked(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), "H5Fopen " + path)));
  // The end recorded at the last flush of the superblock may lie before what was written since; without
  // this, new objects would be placed over the newest samples.
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
