// SPDX-License-Identifier: BSD-3-Clause
// Creating objects, and texts and attributes.
#include "record/store.hpp"

#include <algorithm>

#include "record/rows.hpp"

namespace dlscale {

using hdf5::checked;

namespace {

void write_attribute(hid_t object, const char* name, hid_t type, const void* value) {
  const hdf5::Space scalar(checked(H5Screate(H5S_SCALAR), "H5Screate"));
  const hdf5::Attribute attribute(
      checked(H5Acreate2(object, name, type, scalar.get(), H5P_DEFAULT, H5P_DEFAULT), "H5Acreate2"));
  checked(H5Awrite(attribute.get(), type, value), std::string("H5Awrite ") + name);
}

void write_text_attribute(hid_t object, const char* name, std::string_view text) {
  const std::string value(text.empty() ? std::string_view("\0", 1) : text);
  write_attribute(object, name, text_type(value.size()).get(), value.data());
}

void describe(const hdf5::Dataset& array, const ArrayInfo& info) {
  write_text_attribute(array.get(), "unit", info.unit);
  write_text_attribute(array.get(), "description", info.description);
  write_text_attribute(array.get(), "dimensions", info.dimensions);
}

std::string padded(std::string_view text, std::size_t bytes) {
  std::string value(cut_utf8(text, bytes));
  value.resize(bytes, '\0');
  return value;
}

std::size_t text_bytes(const hdf5::Dataset& array, const std::string& path) {
  const hdf5::Type type(checked(H5Dget_type(array.get()), "H5Dget_type " + path));
  if (checked(H5Tget_class(type.get()), "H5Tget_class " + path) != H5T_STRING)
    throw hdf5::Failure(path + " holds no text");
  return H5Tget_size(type.get());
}

}  // namespace

void Store::create_group(const std::string& path) {
  demand_creation(path);
  hdf5::Group(checked(H5Gcreate2(file_.get(), path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                      "H5Gcreate2 " + path));
}

hdf5::Dataset Store::create_array(const std::string& path, hid_t file_type, const ArrayShape& shape,
                                  const ArrayInfo& info) {
  demand_creation(path);
  const hdf5::Properties creation(checked(H5Pcreate(H5P_DATASET_CREATE), "H5Pcreate"));
  std::vector<hsize_t> limit = shape.extent;
  const int dimensions = static_cast<int>(shape.extent.size());
  if (!shape.chunk.empty()) {
    limit[0] = H5S_UNLIMITED;
    checked(H5Pset_chunk(creation.get(), dimensions, shape.chunk.data()), "H5Pset_chunk " + path);
    // Every row is written right after the array has grown by it: filling would write everything twice.
    checked(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time");
  }
  const hdf5::Space space(dimensions == 0
                              ? checked(H5Screate(H5S_SCALAR), "H5Screate")
                              : checked(H5Screate_simple(dimensions, shape.extent.data(), limit.data()),
                                        "H5Screate_simple " + path));
  hdf5::Dataset array(checked(H5Dcreate2(file_.get(), path.c_str(), file_type, space.get(), H5P_DEFAULT,
                                         creation.get(), H5P_DEFAULT),
                              "H5Dcreate2 " + path));
  describe(array, info);
  return array;
}

void Store::create_text(const std::string& path, std::string_view text, std::size_t bytes,
                        const ArrayInfo& info) {
  const hdf5::Dataset array =
      create_array(path, text_type(std::max<std::size_t>(bytes, 1)).get(), {{}, {}}, info);
  write_text(path, text);
}

void Store::create_texts(const std::string& path, const std::vector<std::string>& texts,
                         std::size_t bytes, const ArrayInfo& info) {
  const hdf5::Type type = text_type(bytes);
  const hdf5::Dataset array = create_array(path, type.get(), {{texts.size()}, {}}, info);
  std::string all;
  for (const std::string& text : texts) all += padded(text, bytes);
  checked(H5Dwrite(array.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, all.data()),
          "H5Dwrite " + path);
}

void Store::remove(const std::string& path) {
  demand_creation(path);
  checked(H5Ldelete(file_.get(), path.c_str(), H5P_DEFAULT), "H5Ldelete " + path);
}

void Store::set_attribute(const std::string& object, const char* name, std::string_view text) {
  demand_creation(object + " @" + name);
  const hdf5::Group group(
      checked(H5Gopen2(file_.get(), object.c_str(), H5P_DEFAULT), "H5Gopen2 " + object));
  write_text_attribute(group.get(), name, text);
}

void Store::set_attribute(const std::string& object, const char* name, std::int32_t value) {
  demand_creation(object + " @" + name);
  const hdf5::Group group(
      checked(H5Gopen2(file_.get(), object.c_str(), H5P_DEFAULT), "H5Gopen2 " + object));
  write_attribute(group.get(), name, H5T_NATIVE_INT32, &value);
}

std::string Store::read_text(const std::string& path) const {
  const hdf5::Dataset array = open(path);
  const std::size_t bytes = text_bytes(array, path);
  std::string text(bytes, '\0');
  checked(H5Dread(array.get(), text_type(bytes).get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()),
          "H5Dread " + path);
  return text.c_str();
}

std::vector<std::string> Store::read_texts(const std::string& path) const {
  const hdf5::Dataset array = open(path);
  const std::size_t bytes = text_bytes(array, path), count = rows_of(array, path);
  std::string all(bytes * count, '\0');
  if (count > 0) read_rows(array, path, text_type(bytes).get(), 0, count, all.data());
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) texts.emplace_back(all.substr(i * bytes, bytes).c_str());
  return texts;
}

void Store::write_text(const std::string& path, std::string_view text) {
  const hdf5::Dataset array = open(path);
  const std::size_t bytes = text_bytes(array, path);
  checked(H5Dwrite(array.get(), text_type(bytes).get(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                   padded(text, bytes).data()),
          "H5Dwrite " + path);
}

std::string Store::text_attribute(const char* name) const {
  if (checked(H5Aexists_by_name(file_.get(), "/", name, H5P_DEFAULT), "H5Aexists_by_name") == 0)
    return {};
  const hdf5::Attribute attribute(
      checked(H5Aopen_by_name(file_.get(), "/", name, H5P_DEFAULT, H5P_DEFAULT), "H5Aopen_by_name"));
  const hdf5::Type stored(checked(H5Aget_type(attribute.get()), "H5Aget_type"));
  std::string text(H5Tget_size(stored.get()), '\0');
  checked(H5Aread(attribute.get(), text_type(text.size()).get(), text.data()),
          std::string("H5Aread ") + name);
  return text.c_str();
}

std::int32_t Store::number_attribute(const char* name) const {
  const hdf5::Attribute attribute(
      checked(H5Aopen_by_name(file_.get(), "/", name, H5P_DEFAULT, H5P_DEFAULT),
              std::string("H5Aopen_by_name ") + name));
  std::int32_t value = 0;
  checked(H5Aread(attribute.get(), H5T_NATIVE_INT32, &value), std::string("H5Aread ") + name);
  return value;
}

}  // namespace dlscale
