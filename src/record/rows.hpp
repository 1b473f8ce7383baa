// SPDX-License-Identifier: BSD-3-Clause
/// Rows of the file's tables as packed bytes. visit() below is the only place that lists a table's
/// columns: the same list builds the HDF5 type, packs a row and unpacks it.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "record/fixed_text.hpp"
#include "record/hdf5_call.hpp"
#include "record/run_file.hpp"

namespace dlscale {

/// One row of /system/launches. The size of `hosts` is chosen when the table is written.
struct LaunchRow {
  int launch = 0;
  LaunchInfo info;
};

template <class Visitor>
void visit(Visitor& v, CaseRow& r) {
  v.number("id", r.id);
  v.number("launch", r.launch);
  v.number("order", r.order);
  v.text("series", r.series, 64);
  v.text("role", r.role, 128);
  v.text("workload", r.workload, 32);
  v.text("variant", r.variant, 16);
  v.text("device", r.device, 96);
  v.text("dtype", r.dtype, 16);
  v.text("occupancy", r.occupancy, 16);
  v.text("placement", r.placement, 32);
  v.number("ranks", r.ranks);
  v.number("threads", r.threads);
  v.text("engine", r.engine, 64);
  v.json("params", r.params_json, 1024);
  v.number("flops", r.flops, "FLOP");
  v.number("bytes_touched", r.bytes_touched, "B");
  v.number("bytes_sent", r.bytes_sent, "B");
  v.number("memory_bytes", r.memory_bytes, "B");
  v.number("items", r.items);
  v.text("status", r.status, 16);
  v.text("stop_reason", r.stop_reason, 64);
  v.number("blocks", r.blocks);
  v.number("samples", r.samples);
  v.number("warmup", r.warmup);
  v.number("repeats", r.repeats);
  v.text("mode", r.mode, 16);
  v.number("median_s", r.median_s, "s");
  v.number("low_s", r.low_s, "s");
  v.number("high_s", r.high_s, "s");
  v.number("check_error", r.check_error);
  v.number("check_tolerance", r.check_tolerance);
  v.number("check_passed", r.check_passed);
  v.json("results", r.results_json, 4096);
  v.text("message", r.message, 1024);
  v.text("repro", r.repro, 1024);
}

template <class Visitor>
void visit(Visitor& v, RankRow& r) {
  v.number("rank", r.rank);
  v.text("host", r.host, 128);
  v.number("local_rank", r.local_rank);
  v.number("pid", r.pid);
  v.text("cpus", r.cpus, 192);
  v.number("threads", r.threads);
  v.number("numa", r.numa);
  v.text("device", r.device, 96);
  v.text("device_uuid", r.device_uuid, 64);
  v.number("memory_bytes", r.memory_bytes, "B");
  v.text("switch", r.network_switch, 96);
}

template <class Visitor>
void visit(Visitor& v, ClockRow& r) {
  v.number("launch", r.launch);
  v.number("case", r.case_id);
  v.number("block", r.block);
  v.number("node", r.node);
  v.number("offset_ns", r.offset_ns, "ns");
  v.number("min_rtt_ns", r.min_rtt_ns, "ns");
  v.number("error_ns", r.error_ns, "ns");
  v.number("at_ns", r.at_ns, "ns");
}

template <class Visitor>
void visit(Visitor& v, LaunchRow& r) {
  v.number("launch", r.launch);
  v.text("started", r.info.started, 40);
  v.text("hosts", r.info.hosts, v.flexible_size);
  v.text("reason", r.info.reason, 16);
}

/// A column of a table, as visit() lists it.
struct TableColumn {
  std::string name, unit;
  std::size_t size = 0;
  hid_t file_type = H5I_INVALID_HID, memory_type = H5I_INVALID_HID;  ///< predefined; invalid for text
};

/// Visitor that lists columns.
struct ColumnList {
  std::vector<TableColumn> columns;
  std::size_t flexible_size = 0;  ///< bytes of texts whose size the table chooses

  void number(const char* name, const int&, const char* unit = "") {
    columns.push_back({name, unit, 4, H5T_STD_I32LE, H5T_NATIVE_INT32});
  }
  void number(const char* name, const std::int64_t&, const char* unit = "") {
    columns.push_back({name, unit, 8, H5T_STD_I64LE, H5T_NATIVE_INT64});
  }
  void number(const char* name, const double&, const char* unit = "") {
    columns.push_back({name, unit, 8, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE});
  }
  void text(const char* name, const std::string&, std::size_t size) {
    columns.push_back({name, "", size});
  }
  void json(const char* name, const std::string&, std::size_t size) {
    columns.push_back({name, "", size});
  }
};

/// Visitor that appends a row's bytes to `bytes`.
struct Packer {
  std::vector<char>& bytes;
  std::size_t flexible_size = 0;

  template <class Number>
  void number(const char*, const Number& value, const char* = "") {
    const char* raw = reinterpret_cast<const char*>(&value);
    bytes.insert(bytes.end(), raw, raw + sizeof value);
  }
  void text(const char*, const std::string& value, std::size_t size) {
    const std::string_view part = cut_utf8(value, size);
    bytes.insert(bytes.end(), part.begin(), part.end());
    bytes.resize(bytes.size() + (size - part.size()), '\0');
  }
  void json(const char* name, const std::string& value, std::size_t size) {
    text(name, fit_json(value, size), size);
  }
};

/// Visitor that reads a row's bytes.
struct Unpacker {
  const char* at;
  std::size_t flexible_size = 0;

  template <class Number>
  void number(const char*, Number& value, const char* = "") {
    std::memcpy(&value, at, sizeof value);
    at += sizeof value;
  }
  void text(const char*, std::string& value, std::size_t size) {
    value.assign(at, strnlen(at, size));
    at += size;
  }
  void json(const char* name, std::string& value, std::size_t size) { text(name, value, size); }
};

/// Types of a table in the file (little-endian) and in memory (this machine's), and the `unit`
/// attribute's text.
struct TableType {
  hdf5::Type file, memory;
  std::size_t row_bytes = 0;
  std::string units;  ///< "flops=FLOP bytes_touched=B": columns that have a unit
};
TableType make_table_type(const std::vector<TableColumn>& columns);

template <class Row>
TableType table_type(std::size_t flexible_size = 0) {
  Row row;
  ColumnList list{{}, flexible_size};
  visit(list, row);
  return make_table_type(list.columns);
}

template <class Row>
std::vector<char> pack_rows(const std::vector<Row>& rows, std::size_t flexible_size = 0) {
  std::vector<char> bytes;
  Packer packer{bytes, flexible_size};
  for (const Row& row : rows) {
    visit(packer, const_cast<Row&>(row));  // the packer only reads; unpacking shares the same list
    bytes.reserve(bytes.size() * (&row == &rows.front() ? rows.size() : 1));
  }
  return bytes;
}

template <class Row>
std::vector<Row> unpack_rows(const std::vector<char>& bytes, std::size_t row_bytes,
                             std::size_t flexible_size = 0) {
  std::vector<Row> rows(bytes.size() / row_bytes);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Unpacker unpacker{bytes.data() + i * row_bytes, flexible_size};
    visit(unpacker, rows[i]);
  }
  return rows;
}

/// Fixed-size UTF-8 text, padded with zeros.
hdf5::Type text_type(std::size_t bytes);

}  // namespace dlscale
