// SPDX-License-Identifier: BSD-3-Clause
#include "record/layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace dlscale {

using hdf5::checked;

namespace {

/// A table that grows by rows. Row type and units come from the columns.
void create_table(Store& store, const std::string& path, const TableType& type, const ArrayShape& shape,
                  std::string description, std::string dimensions) {
  store.create_array(path, type.file.get(), shape,
                     {type.units, std::move(description), std::move(dimensions)});
}

/// Room for `needed` bytes and for a later launch that needs a little more.
std::size_t room_for(std::size_t needed, std::size_t least) {
  return std::max(least, std::bit_ceil(needed + 1));
}

void rewrite_launches(Store& store, const LaunchRow& added) {
  std::vector<LaunchRow> rows;
  if (store.exists("/system/launches")) {
    rows = read_launches(store);
    store.remove("/system/launches");
  }
  rows.push_back(added);
  std::size_t longest = 0;
  for (const LaunchRow& row : rows) longest = std::max(longest, row.info.hosts.size());
  const std::size_t host_bytes = room_for(longest, 1024);
  const TableType type = table_type<LaunchRow>(host_bytes);
  create_table(store, "/system/launches", type, {{0}, {1}},
               "one row per start of the program that wrote to this file; hosts separated by commas",
               "launch");
  append_rows(store.open("/system/launches"), "/system/launches", type.memory.get(), rows.size(),
              pack_rows(rows, host_bytes).data());
}

void rewrite_environment(Store& store, const std::string& added) {
  std::vector<std::string> texts;
  if (store.exists("/system/environment")) {
    texts = store.read_texts("/system/environment");
    store.remove("/system/environment");
  }
  texts.push_back(added);
  std::size_t longest = 0;
  for (const std::string& text : texts) longest = std::max(longest, text.size());
  store.create_texts(
      "/system/environment", texts, room_for(longest, 65536),
      {"", "JSON text per launch: libraries loaded, build, CPU, variables, as rank 0 saw them",
       "launch"});
}

void append_ranks(Store& store, const FileSpec& spec) {
  const TableType type = table_type<RankRow>();
  append_rows(store.open("/system/ranks"), "/system/ranks", type.memory.get(), 1,
              pack_rows(spec.rank_rows).data());
}

void create_arrays_per_step(Store& store, const std::string& group, const CaseLayout& layout) {
  const hsize_t columns = layout.ranks.size(), rows = chunk_rows(columns);
  const ArrayShape flat{{0, columns}, {rows, columns}}, single{{0}, {256}};
  const std::string by_rank = "sample participant";
  store.create_array(
      group + "/start", H5T_STD_I64LE, flat,
      {"ns", "start of the sample since the launch, local clock, uncorrected; -1: absent", by_rank});
  store.create_array(
      group + "/stop", H5T_STD_I64LE, flat,
      {"ns", "end of the sample since the launch, local clock, uncorrected; -1: absent", by_rank});
  store.create_array(group + "/phase", H5T_STD_U8LE, flat,
                     {"1", "0 warm-up, 1 measured, 255 absent", by_rank});
  store.create_array(group + "/block", H5T_STD_I32LE, single,
                     {"1", "block the sample belongs to; -1: before the first block", "sample"});
  store.create_array(group + "/repeats", H5T_STD_I32LE, single,
                     {"1", "back-to-back executions inside the sample", "sample"});
}

/// An array `name`s [grown, participant, along] and the names along its last dimension.
void create_extras(Store& store, const std::string& group, const std::string& name,
                   const ArrayInfo& info, hsize_t participants, const std::vector<std::string>& names,
                   std::size_t text_bytes = name_bytes) {
  const hsize_t columns = participants * names.size(), rows = chunk_rows(columns);
  store.create_array(group + "/" + name + "s", H5T_IEEE_F64LE,
                     {{0, participants, names.size()}, {rows, participants, names.size()}}, info);
  store.create_texts(group + "/" + name + "_names", names, text_bytes,
                     {"", "names along the last dimension of " + name + "s",
                      info.dimensions.substr(info.dimensions.rfind(' ') + 1)});
}

/// The same with a unit and a description for each name.
void create_described(Store& store, const std::string& group, const std::string& name,
                      const ArrayInfo& info, hsize_t participants,
                      const std::vector<ProbeInfo>& columns) {
  std::vector<std::string> names, units, descriptions;
  for (const ProbeInfo& column : columns) {
    names.push_back(column.name);
    units.push_back(column.unit);
    descriptions.push_back(column.description);
  }
  create_extras(store, group, name, info, participants, names);
  const std::string along = info.dimensions.substr(info.dimensions.rfind(' ') + 1);
  store.create_texts(group + "/" + name + "_units", units, name_bytes,
                     {"", "units along the last dimension of " + name + "s", along});
  store.create_texts(group + "/" + name + "_descriptions", descriptions, 4 * name_bytes,
                     {"", "what stands along the last dimension of " + name + "s", along});
}

void create_numbers(Store& store, const std::string& path, const std::vector<double>& values,
                    const ArrayInfo& info) {
  const hdf5::Dataset array = store.create_array(path, H5T_IEEE_F64LE, {{values.size()}, {}}, info);
  checked(H5Dwrite(array.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
          "H5Dwrite " + path);
}

void create_layers(Store& store, const std::string& group, const CaseLayout& layout) {
  std::vector<std::string> names;
  std::vector<double> flops, bytes;
  for (const LayerInfo& layer : layout.layers) {
    names.push_back(layer.name);
    flops.push_back(layer.flops);
    bytes.push_back(layer.bytes);
  }
  create_extras(store, group, "layer",
                {"s", "time of each layer, summed over the sample's repeats; NaN: absent",
                 "sample participant layer"},
                layout.ranks.size(), names, layer_name_bytes);
  create_numbers(store, group + "/layer_flops", flops,
                 {"FLOP", "work of the layer per repetition and rank", "layer"});
  create_numbers(
      store, group + "/layer_bytes", bytes,
      {"B", "memory traffic of the layer per repetition and rank, every operand once", "layer"});
}

void create_buckets(Store& store, const std::string& group, const CaseLayout& layout) {
  const std::vector<std::string> names = {"ready", "enter", "done"};
  const hsize_t participants = layout.ranks.size(), buckets = layout.bucket_bytes.size();
  store.create_array(
      group + "/buckets", H5T_IEEE_F64LE,
      {{0, participants, buckets, names.size()},
       {chunk_rows(participants * buckets * names.size()), participants, buckets, names.size()}},
      {"s",
       "of the sample's last repetition, since the rank's start of the sample: the bucket's "
       "gradients were ready, the rank began to reduce it, the sum was there; NaN: absent",
       "sample participant bucket time"});
  create_numbers(store, group + "/bucket_bytes", layout.bucket_bytes,
                 {"B", "gradients of the bucket, on each rank", "bucket"});
  store.create_texts(group + "/bucket_time_names", names, name_bytes,
                     {"", "names along the last dimension of buckets", "time"});
}

void create_partners(Store& store, const std::string& group, const CaseLayout& layout) {
  std::vector<int> values;
  for (const std::vector<int>& round : layout.partners)
    values.insert(values.end(), round.begin(), round.end());
  const std::string path = group + "/partners";
  const hdf5::Dataset array = store.create_array(
      path, H5T_STD_I32LE, {{layout.partners.size(), layout.ranks.size()}, {}},
      {"1", "world rank of each participant's partner in each round; -1: none", "round participant"});
  checked(H5Dwrite(array.get(), H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
          "H5Dwrite " + path);
}

/// What only some cases have.
void create_optional(Store& store, const std::string& group, const CaseLayout& layout) {
  const hsize_t participants = layout.ranks.size();
  if (!layout.probes.empty())
    create_described(
        store, group, "probe",
        {"see probe_units", "readings taken beside the sample; NaN: absent", "sample participant probe"},
        participants, layout.probes);
  if (!layout.part_names.empty())
    create_extras(store, group, "part",
                  {"s",
                   "disjoint stretches of the main thread that sum to the sample, all its repeats "
                   "together; NaN: absent",
                   "sample participant part"},
                  participants, layout.part_names);
  if (!layout.layers.empty()) create_layers(store, group, layout);
  if (!layout.bucket_bytes.empty()) create_buckets(store, group, layout);
  if (!layout.epochs.empty())
    create_described(store, group, "epoch",
                     {"see epoch_units", "values of measured block i, a whole epoch; NaN: absent",
                      "epoch participant column"},
                     participants, layout.epochs);
  if (!layout.partners.empty()) create_partners(store, group, layout);
}

void create_samples(Store& store, const CaseLayout& layout) {
  const std::string group = samples_path(layout.row.id);
  store.create_group(group);
  create_arrays_per_step(store, group, layout);
  {
    const hdf5::Dataset ranks =
        store.create_array(group + "/ranks", H5T_STD_I32LE, {{layout.ranks.size()}, {}},
                           {"1", "world ranks of the columns", "participant"});
    if (!layout.ranks.empty())
      checked(H5Dwrite(ranks.get(), H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, layout.ranks.data()),
              "H5Dwrite " + group + "/ranks");
  }
  create_optional(store, group, layout);
}

}  // namespace

std::string samples_path(int case_id) {
  return fmt::format("/samples/{:04}", case_id);
}

hsize_t chunk_rows(hsize_t participants) {
  return std::clamp<hsize_t>(262144 / std::max<hsize_t>(participants, 1), 1, 256);
}

void create_skeleton(Store& store, const FileSpec& spec) {
  store.set_attribute("/", "schema_version", schema_version);
  store.set_attribute("/", "dlscale_version", spec.dlscale_version);
  store.set_attribute("/", "git_hash", spec.git_hash);
  store.set_attribute("/", "build_id", spec.build_id);
  store.set_attribute("/", "started", spec.launch.started);
  store.set_attribute("/", "ranks", spec.ranks);
  store.create_text("/status", "running", status_bytes,
                    {"", "running, completed, failed or interrupted", ""});
  for (const char* group : {"/input", "/system", "/samples"}) store.create_group(group);
  const auto text = [&](const char* path, const std::string& value, const char* description) {
    store.create_text(path, value, value.size(), {"", description, ""});
  };
  text("/input/job", spec.job_text, "the job file, word for word");
  text("/input/resolved", spec.resolved_text, "the same job with every default written out");
  text("/input/command_line", spec.command_line, "command line of the first launch");
  const auto ranks = static_cast<hsize_t>(spec.rank_rows.size());
  create_table(store, "/system/ranks", table_type<RankRow>(),
               {{0, ranks}, {1, std::clamp<hsize_t>(ranks, 1, 1024)}}, "where each rank ran",
               "launch rank");
  create_table(store, "/system/clocks", table_type<ClockRow>(), {{0}, {256}},
               "offset of a node's clock to the root's, measured before and after the blocks of a case",
               "row");
  create_table(store, "/cases", table_type<CaseRow>(), {{0}, {1}}, "one row per case; updated in place",
               "case");
}

std::vector<CaseRow> add_launch(Store& store, const FileSpec& spec, int launch, int first_case_id) {
  rewrite_launches(store, {launch, spec.launch});
  rewrite_environment(store, spec.environment_json);
  append_ranks(store, spec);
  std::vector<CaseRow> rows;
  for (CaseLayout layout : spec.cases) {
    layout.row.id = first_case_id + static_cast<int>(rows.size());
    layout.row.launch = launch;
    create_samples(store, layout);
    rows.push_back(layout.row);
  }
  if (!rows.empty())
    append_rows(store.open("/cases"), "/cases", table_type<CaseRow>().memory.get(), rows.size(),
                pack_rows(rows).data());
  return rows;
}

std::vector<LaunchRow> read_launches(const Store& store) {
  const std::string path = "/system/launches";
  const hdf5::Dataset array = store.open(path);
  const hdf5::Type stored(checked(H5Dget_type(array.get()), "H5Dget_type " + path));
  // Only `hosts` varies in size: what the row is longer than without it.
  const std::size_t host_bytes = H5Tget_size(stored.get()) + 1 - table_type<LaunchRow>(1).row_bytes;
  const TableType type = table_type<LaunchRow>(host_bytes);
  const hsize_t count = rows_of(array, path);
  std::vector<char> bytes(type.row_bytes * count);
  if (count > 0) read_rows(array, path, type.memory.get(), 0, count, bytes.data());
  return unpack_rows<LaunchRow>(bytes, type.row_bytes, host_bytes);
}

}  // namespace dlscale
