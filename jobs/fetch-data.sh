#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Fetches MNIST or Fashion-MNIST for workload train (data=FOLDER) and checks every file against its published MD5 sum.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: fetch-data.sh [--mirror URL]… [--help] mnist|fashion-mnist FOLDER

Fetches the four IDX files of a published data set (about 12 MB for MNIST, 31 MB for Fashion-MNIST) into FOLDER, which is
made if need be. A file that is there and good is left alone; one that is there and is something else is never
overwritten. Then:  dlscale --case 'train data=FOLDER'

  --mirror URL   look here, not in the usual places; several are tried in the order given. URL is the folder that has
                 train-images-idx3-ubyte.gz and the others; file:///… is a copy on disk.

Compute nodes often have no way out: run this on the login node, into a folder that all nodes see.
TEXT
}

die() {
  echo "fetch-data.sh: $1" >&2
  exit "${2:-1}"
}

set_name=""
folder=""
mirrors=()
while [ $# -gt 0 ]; do
  case $1 in
    --mirror)
      [ -n "${2:-}" ] || die "--mirror needs a URL" 2
      mirrors+=("${2%/}")
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) die "unknown option '$1'; see --help" 2 ;;
    *)
      if [ -z "$set_name" ]; then
        set_name=$1
      elif [ -z "$folder" ]; then
        folder=$1
      else
        die "one data set and one folder, not also '$1'; see --help" 2
      fi
      ;;
  esac
  shift
done
if [ -z "$set_name" ] || [ -z "$folder" ]; then
  usage >&2
  exit 2
fi

files=(train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz t10k-images-idx3-ubyte.gz t10k-labels-idx1-ubyte.gz)
# MD5 sums and mirrors as torchvision has them (torchvision/datasets/mnist.py). They guard against damage and mix-ups.
case $set_name in
  mnist)
    sums=(f68b3c2dcbeaaa9fbdd348bbdeb94873 d53e105ee54ea40749a09fcbcd1e9432
      9fb629c4189551a2d022fa330f9573f3 ec29112dd5afa0611ce80d1b7f02629c)
    usual=(https://ossci-datasets.s3.amazonaws.com/mnist http://yann.lecun.com/exdb/mnist)
    ;;
  fashion-mnist)
    sums=(8d4fb7e6c68d591d4c3dfef9ec88bf0d 25c81989df183df01b3e8a0aad5dffbe
      bef4ecab320f06d8554ea6380940ec79 bb300cfdad3c16e7a12a480ee83cd310)
    usual=(http://fashion-mnist.s3-website.eu-central-1.amazonaws.com)
    ;;
  *) die "unknown data set '$set_name'; valid: mnist, fashion-mnist" 2 ;;
esac
[ ${#mirrors[@]} -gt 0 ] || mirrors=("${usual[@]}")

command -v md5sum >/dev/null || die "md5sum not found (needed to check the files); install coreutils"
if command -v curl >/dev/null; then
  download() { curl --fail --silent --show-error --location --connect-timeout 10 --retry 1 --output "$2" "$1"; }
elif command -v wget >/dev/null; then
  download() { wget --no-verbose --timeout=10 --tries=2 --output-document="$2" "$1"; }
else
  die "neither curl nor wget found; install one, or copy the files into $folder by hand"
fi
get() { # URL file
  case $1 in
    file://*) cp -- "${1#file://}" "$2" ;;
    *) download "$1" "$2" ;;
  esac
}

sum_of() { md5sum <"$1" | cut -d ' ' -f 1; }

mkdir -p "$folder" 2>/dev/null || die "can't make the folder $folder"
[ -w "$folder" ] || die "can't write into $folder"
# Synthetic images with the same names would be mixed with real ones, and real ones called synthetic.
[ ! -e "$folder/SYNTHETIC.txt" ] || die "$folder holds a synthetic set (SYNTHETIC.txt); choose another folder"
for file in "${files[@]}"; do
  [ ! -e "$folder/${file%.gz}" ] || die "$folder/${file%.gz} is there already, unpacked; dlscale would read that one: choose another folder"
done

scratch=$(mktemp -d "$folder/.fetch.XXXXXX") || die "can't make a folder inside $folder"
trap 'rm -rf "$scratch"' EXIT

# Sets `found` to yes, or appends to `troubles` why not.
fetch() { # file sum
  local mirror answer got
  found=""
  for mirror in "${mirrors[@]}"; do
    if ! answer=$(get "$mirror/$1" "$scratch/$1" 2>&1); then
      answer=${answer//$'\n'/; }
      troubles+="${troubles:+, }$mirror: ${answer:-no answer}"
      continue
    fi
    got=$(sum_of "$scratch/$1")
    if [ "$got" = "$2" ]; then
      found=yes
      return
    fi
    troubles+="${troubles:+, }$mirror: another file (MD5 $got, not $2)"
  done
}

new=0
for i in "${!files[@]}"; do
  file=${files[i]}
  if [ -e "$folder/$file" ]; then
    [ "$(sum_of "$folder/$file")" = "${sums[i]}" ] ||
      die "$folder/$file is there but is not $set_name's (its MD5 sum differs from ${sums[i]}); move it away, or choose another folder"
    continue
  fi
  echo "fetch-data.sh: fetching $file"
  troubles=""
  fetch "$file" "${sums[i]}"
  [ -n "$found" ] || die "can't get $file of $set_name ($troubles); check the network, or name a mirror or a copy on disk with --mirror"
  chmod a+r "$scratch/$file"
  mv -n "$scratch/$file" "$folder/$file"
  new=$((new + 1))
done
echo "fetch-data.sh: $set_name is complete in $folder ($new files fetched, $((4 - new)) were there); use it with data=$folder"
