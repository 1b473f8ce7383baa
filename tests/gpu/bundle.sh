#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The bundle in a root that holds nothing but glibc, a shell and the bundle, at a place where it was not made: the program
# answers, plans, says why there is no GPU, and runs on two ranks. Needs root (chroot, mount).
set -uo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
  skipped bundle "needs root and mount namespaces"
  exit 0
fi
scratch bundle
bare=$SCRATCH/bare
mkdir -p "$bare"/{bin,lib/x86_64-linux-gnu,lib64,opt,tmp,proc,sys,dev,etc,usr,root}
if ! bash "$DLSCALE_ROOT/packaging/bundle.sh" --build "$(dirname "$DLSCALE")" --folder "$bare/opt/dlscale" >"$SCRATCH/log" 2>&1; then
  failed bundle/made "$(tail -n 2 "$SCRATCH/log" | tr '\n' '|')"
  exit 1
fi
ok bundle/made
tail -n 1 "$SCRATCH/log"
foreign=$(find "$bare/opt/dlscale/lib/bundle" -regextype posix-extended -regex '.*/(lib(cuda|cublas|cudnn|nccl)[^/]*|lib[cm])\.so.*' -printf '%f ')
check "bundle/no library of CUDA or glibc in it" "$foreign" [ -z "$foreign" ]

# Only what every node has.
for tool in bash dirname readlink env cat sleep false; do cp -L "$(type -P "$tool")" "$bare/bin/"; done
ln -s bash "$bare/bin/sh"
ln -s ../bin "$bare/usr/bin"
cp -L /lib64/ld-linux-x86-64.so.2 "$bare/lib64/"
for library in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1 libresolv.so.2 libmvec.so.1 \
  libnss_files.so.2 libtinfo.so.6 libselinux.so.1 libpcre2-8.so.0; do
  cp -L "/lib/x86_64-linux-gnu/$library" "$bare/lib/x86_64-linux-gnu/" 2>/dev/null
done
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$bare/etc/passwd"
printf 'root:x:0:\n' >"$bare/etc/group"
printf '127.0.0.1 localhost %s\n' "$(hostname)" >"$bare/etc/hosts"
# bare COMMAND…: in that root.
bare() {
  # shellcheck disable=SC2016
  timeout --kill-after=10 180 unshare -m bash -c 'root=$1; shift
    for place in proc sys dev; do mount --rbind "/$place" "$root/$place"; done
    exec "$(command -v chroot)" "$root" /bin/env -i PATH=/bin HOME=/root TMPDIR=/tmp \
      OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 /opt/dlscale/bin/dlscale-env "$@"' - "$bare" "$@" </dev/null
}
# says NAME CODE WORDS COMMAND…
says() {
  local name=$1 want=$2 words=$3 code
  shift 3
  bare "$@" >"$SCRATCH/out" 2>&1
  code=$?
  if [ "$code" -eq "$want" ] && grep -qE -- "$words" "$SCRATCH/out"; then
    ok "$name"
  else
    failed "$name" "exit code $code, expected $want: $(grep -v '^$' "$SCRATCH/out" | tail -n "${LINES_SHOWN:-4}" | tr '\n' '|')"
  fi
}
says bundle/version 0 '^dlscale ' dlscale --version
says "bundle/plans a job of its own" 0 'Predicted' dlscale quick --plan --ranks 4
says "bundle/runs alone" 0 'exit code 0|FOM: exit_code = 0' dlscale --device cpu --quiet --case 'noop' --set run.time_budget=2s -o /tmp/one.h5
says "bundle/runs on two ranks" 0 'FOM: exit_code = 0' mpirun --oversubscribe -np 2 dlscale --device cpu --quiet \
  --case 'collective bytes=4096' --case 'gemm m=64' --case 'conv2d batch=1 channels=3 filters=4 height=8 width=8' \
  --case 'pdgemm m=64 n=64 k=64' --set run.time_budget=10s -o /tmp/two.h5
if [ -f "$(dirname "$DLSCALE")/libdlscale_cuda.so" ]; then
  says "bundle/says why there is no GPU" 4 'no GPU can be used \(' dlscale --device cuda --quiet --case noop -o /tmp/gpu.h5
fi
finish
