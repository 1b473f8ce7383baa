#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what a stage needs on Debian 12, Debian 13 and Ubuntu 24.04; elsewhere it says where to look.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: packages.sh [--dry-run] run|test|cluster|ecosystem …

  run       what building, running and reporting need
  test      what tests/all.sh needs on top
  cluster   Slurm and munge for tests/cluster
  ecosystem JUBE, man and what ReFrame is installed with, for tests/ecosystem
  --dry-run print the missing packages and install nothing

Installs only what is missing, as root or through sudo.
TEXT
}

run_packages=(
  g++ cmake ninja-build pkgconf git curl ca-certificates
  libopenmpi-dev openmpi-bin libhdf5-dev libopenblas-dev libopenblas-pthread-dev libhwloc-dev
  libscalapack-openmpi-dev libdnnl-dev zlib1g-dev
  libtomlplusplus-dev libcli11-dev libfmt-dev nlohmann-json3-dev catch2
  python3 python3-h5py python3-numpy python3-pandas python3-rich python3-jinja2
)
test_packages=(python3-pytest python3-pytest-xdist hdf5-tools shellcheck clang-format binutils procps valgrind)
cluster_packages=(slurm-wlm slurm-client munge iproute2)
ecosystem_packages=(jube groff-base man-db python3-venv)

die() {
  echo "packages.sh: $1" >&2
  exit "${2:-1}"
}

dry_run=0
wanted=()
for argument in "$@"; do
  case $argument in
    run) wanted+=("${run_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    cluster) wanted+=("${cluster_packages[@]}") ;;
    ecosystem) wanted+=("${ecosystem_packages[@]}") ;;
    --dry-run) dry_run=1 ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown stage '$argument'; valid: run, test, cluster, ecosystem, --dry-run" 2 ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || {
  usage >&2
  exit 2
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]; }

system=$(
  # shellcheck source=/dev/null
  . /etc/os-release 2>/dev/null && echo "${ID:-unknown} ${VERSION_ID:-}" || echo unknown
)
case $system in
  "debian 12"* | "debian 13"* | "ubuntu 24.04"*) ;;
  *) die "no package list for this system ($system; known: Debian 12, Debian 13, Ubuntu 24.04); INSTALL.md names the libraries for modules and Spack, then use --no-install" ;;
esac

missing=()
for package in "${wanted[@]}"; do
  installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "packages.sh: all ${#wanted[@]} packages are installed"
  exit 0
fi
echo "packages.sh: missing: ${missing[*]}"
[ "$dry_run" -eq 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "cannot install (not root, and no sudo); ask an administrator for: ${missing[*]}"
  as_root=(sudo)
fi
# Never start a service or ask a question: the packages are used as libraries and programs only.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o Dpkg::Use-Pty=0)

echo "packages.sh: installing ${#missing[@]} packages"
if ! apt-cache show "${missing[@]}" >/dev/null 2>&1; then
  "${apt[@]}" update </dev/null || die "apt-get update failed; check the network and /etc/apt, or install by hand: ${missing[*]}"
fi
"${apt[@]}" install --no-install-recommends "${missing[@]}" </dev/null >/dev/null ||
  die "apt-get install failed (its message is above; old package lists? try apt-get update); install by hand: ${missing[*]}"
for package in "${missing[@]}"; do
  installed "$package" || die "package $package is still missing after apt-get install"
done
echo "packages.sh: done"
