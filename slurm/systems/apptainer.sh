# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# dlscale in an Apptainer (Singularity) image; srun or the host's mpirun starts one container per rank. UNTESTED with Apptainer
# itself, which was at hand nowhere; what the scripts do with DLSCALE_WRAPPER is tested.
#
#   DLSCALE_IMAGE=/shared/dlscale.sif   the image; one file, so that thousands of ranks load no libraries from the file system
#   DLSCALE=/opt/dlscale/bin/dlscale    the program inside
#
# The MPI inside must speak what the launcher speaks: PMIx for srun --mpi=pmix, the same series of Open MPI for mpirun.
if [ -z "${DLSCALE_IMAGE:-}" ]; then
  echo "apptainer.sh: DLSCALE_IMAGE is not set (the .sif file with dlscale); set it to its path" >&2
  return 1
fi
if [ ! -f "$DLSCALE_IMAGE" ]; then
  echo "apptainer.sh: DLSCALE_IMAGE=$DLSCALE_IMAGE is no file; correct the path" >&2
  return 1
fi
export DLSCALE=${DLSCALE:-/opt/dlscale/bin/dlscale}
# The image sees the home folder, the current one and /tmp by itself; job files and run files must be seen too.
binds=$(cd -P "${slurm_folder:?}/.." && pwd)
if [ -n "${DLSCALE_OUTPUT_DIR:-}" ]; then binds+=,$DLSCALE_OUTPUT_DIR; fi
if [ -n "${DLSCALE_HISTORY:-}" ]; then binds+=,$DLSCALE_HISTORY; fi
# --nv brings the host's GPU driver in. On the login node nobody knows yet whether the job has GPUs, and nothing is started.
if [ -n "${SLURM_JOB_ID:-}" ]; then
  export DLSCALE_WRAPPER=${DLSCALE_WRAPPER:-apptainer exec $(has_gpus && echo --nv) --bind $binds $DLSCALE_IMAGE}
fi
# Shared memory between containers of one node: PMIx's files and single copies need one another's /proc, which is not given.
export PMIX_MCA_gds=${PMIX_MCA_gds:-hash}
export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
