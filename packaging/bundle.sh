#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A relocatable archive for nodes that have a driver, CUDA's libraries and nothing else of ours: the install tree, the
# shared libraries it needs (glibc and CUDA's left out), Open MPI with its plugins and helpers, and the GPU tests.
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  cat <<'TEXT'
usage: packaging/bundle.sh [--build FOLDER] OUT.tar.xz | --folder OUT

  --build FOLDER   what to install from (build)
  --folder OUT     leaves the tree in the new folder OUT instead of packing it

Unpacked anywhere: dlscale/bin/dlscale-env mpirun -np 2 dlscale --device cuda
TEXT
}
die() {
  echo "bundle.sh: $1" >&2
  exit "${2:-1}"
}

build=$root/build folder='' archive=''
while [ $# -gt 0 ]; do
  case $1 in
    --build)
      build=${2:-}
      shift
      ;;
    --folder)
      folder=${2:-}
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) die "unknown option '$1'; see --help" 2 ;;
    *) archive=$1 ;;
  esac
  shift
done
[ -n "$folder$archive" ] || {
  usage >&2
  exit 2
}
[ -z "$folder" ] || [ -z "$archive" ] || die "either an archive or a folder, not both" 2
[ -x "$build/dlscale" ] || die "no built dlscale in '$build'; build first, or say --build FOLDER"
[ -z "$folder" ] || [ ! -e "$folder" ] || die "'$folder' is there already; choose a new name"
command -v ompi_info >/dev/null ||
  die "no ompi_info (only Open MPI is bundled); use the cluster's own MPI and cmake --install"

work=$(mktemp -d "${TMPDIR:-/tmp}/dlscale-bundle.XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/dlscale
cmake --install "$build" --prefix "$tree" --strip >"$work/install.log" || die "cmake --install failed: $(tail -n 3 "$work/install.log")"

# --- Open MPI: with OPAL_PREFIX its folders keep their places below the prefix they were built with.
ompi_path() { ompi_info --path "$1" --parsable | sed -n "s/^path:$1:\(.*\)/\1/p"; }
prefix=$(ompi_path prefix) plugins=$(ompi_path pkglibdir) data=$(ompi_path pkgdatadir) bin=$(ompi_path bindir)
below() { # a folder of Open MPI in the tree
  case $1 in
    "$prefix"/*) printf '%s/%s' "$tree" "${1#"$prefix"/}" ;;
    *) die "Open MPI keeps '$1' outside its prefix '$prefix': OPAL_PREFIX can't move it" ;;
  esac
}
mkdir -p "$(below "$plugins")" "$(below "$data")" "$(below "$bin")"
# Java's, OpenSHMEM's, and what serves networks that a bare node lacks stay out; TCP and shared memory remain.
for plugin in "$plugins"/mca_*.so; do
  case ${plugin##*/} in
    *_ucx.so | *_ofi.so | *_psm*.so | *_openib.so | *_usnic.so | *monitoring.so | mca_atomic_* | mca_memheap_* | \
      mca_scoll_* | mca_spml_* | mca_sshmem_*) ;;
    *) cp "$plugin" "$(below "$plugins")/" ;;
  esac
done
cp -r "$data/." "$(below "$data")/"
for tool in orterun orted; do
  cp -L "$bin/$tool" "$(below "$bin")/"
done
ln -s orterun "$(below "$bin")/mpirun"
ln -s orterun "$(below "$bin")/mpiexec"

# --- shared libraries of all of it. Those of glibc belong to the node's own loader, CUDA's to its driver and toolkit.
lib=$tree/lib/bundle
mkdir -p "$lib"
stays_out() {
  case ${1##*/} in
    ld-linux* | libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | libutil.so* | libresolv.so* | libmvec.so* | \
      libnss_* | libanl.so* | libcuda.so* | libcublas* | libcudnn* | libcudart* | libnccl* | libnvidia* | libnvrtc* | libnvJitLink*) true ;;
    *) false ;;
  esac
}
missing=()
while read -r file; do
  while read -r name _ path _; do
    if [ "$path" = not ]; then
      stays_out "$name" || missing+=("$name")
    elif [ "${path:0:1}" = / ] && ! stays_out "$name" && [ ! -e "$lib/$name" ]; then
      cp -L "$path" "$lib/$name"
    fi
  done < <(ldd "$file" 2>/dev/null)
done < <(find "$tree" -type f \( -name '*.so*' -o -perm -u+x \))
[ ${#missing[@]} -eq 0 ] || die "libraries are missing here: ${missing[*]}"
find "$lib" -type f -exec strip --strip-unneeded {} +

# --- the environment, and a command that sets it
cat >"$tree/env.sh" <<'SHELL'
# shellcheck shell=sh
# Source it with dlscale_root set to this folder, or start programs through bin/dlscale-env, which does.
export OPAL_PREFIX="$dlscale_root"
export PATH="$dlscale_root/bin:$PATH"
export DLSCALE_OUTSIDE_LIBRARIES="${LD_LIBRARY_PATH:-}" # for programs that are not the bundle's
export LD_LIBRARY_PATH="$dlscale_root/lib/bundle${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export DLSCALE="$dlscale_root/bin/dlscale"
# mpirun looks for a way to other hosts even when there are none to reach.
command -v ssh >/dev/null 2>&1 || export OMPI_MCA_plm_rsh_agent="${OMPI_MCA_plm_rsh_agent:-false}"
SHELL
cat >"$tree/bin/dlscale-env" <<'SHELL'
#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# dlscale-env COMMAND…: the command with this bundle's programs and libraries, wherever the bundle lies.
dlscale_root=$(dirname "$(dirname "$(readlink -f "$0")")")
. "$dlscale_root/env.sh"
[ $# -gt 0 ] || set -- dlscale --help
exec "$@"
SHELL
chmod 755 "$tree/bin/dlscale-env"

# --- the GPU tests, and what they compare with
share=$tree/share/dlscale/tests
mkdir -p "$share/peers"
cp -r "$root/tests/gpu" "$share/"
cp "$root/tests/lib.sh" "$share/"
cp "$root"/tests/peers/*_gpu.py "$root/tests/peers/torch_train.py" "$share/peers/"

if [ -n "$folder" ]; then
  mkdir -p "$(dirname "$folder")"
  mv "$tree" "$folder"
  echo "bundle.sh: $folder, $(du -sh "$folder" | cut -f1)"
else
  tar -C "$work" --owner=0 --group=0 --sort=name -cf - dlscale | xz -T0 -6 >"$archive.part"
  mv "$archive.part" "$archive"
  echo "bundle.sh: $archive, $(du -h "$archive" | cut -f1)"
fi
