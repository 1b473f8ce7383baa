# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Settings of one site. Copy this to systems/NAME.sh, keep what you need, and submit with DLSCALE_SYSTEM=NAME. It is sourced
# by bash: on the login node by sweep.sh and node-check.sh, and on the first node of every job. What the user has set
# himself should win, hence ${VARIABLE:-value}. DLSCALE_SETUP names one more file, sourced after this one.

# --- modules: those that dlscale was built with
# module purge
# module load gcc openmpi hdf5 openblas onednn hwloc

# --- the program, where it isn't in the tree of these scripts
# export DLSCALE=${DLSCALE:-/opt/dlscale/bin/dlscale}

# --- launcher: srun where `srun --mpi=list` names what the MPI speaks (pmix; pmi2 for MPICH and Intel MPI), else mpirun
# export DLSCALE_LAUNCHER=${DLSCALE_LAUNCHER:-srun}
# export DLSCALE_SRUN_MPI=${DLSCALE_SRUN_MPI:-pmix}
# export DLSCALE_LAUNCHER_FLAGS="${DLSCALE_LAUNCHER_FLAGS:---hint=nomultithread}"   # split at blanks

# --- network: see ethernet.sh, infiniband.sh

# --- GPUs: rank, closest or slurm (slurm/gpu.sbatch --help), for jobs that have some
# export DLSCALE_GPU_BIND=${DLSCALE_GPU_BIND:-rank}

# --- program and libraries copied to the nodes before the start (thousands of ranks, slow file system)
# export DLSCALE_BROADCAST=${DLSCALE_BROADCAST:-1}
# export DLSCALE_LOCAL_DIR=${DLSCALE_LOCAL_DIR:-/local/scratch}   # a folder that each node has for itself

# --- run files: on a network file system a run is written in TMPDIR (a folder of the node) first, and copied
# export DLSCALE_OUTPUT_DIR=${DLSCALE_OUTPUT_DIR:-$SCRATCH/dlscale}
# export TMPDIR=${TMPDIR:-/local/scratch}

# --- what sweep.sh and node-check.sh give to every sbatch, and where checks are kept
# export DLSCALE_SBATCH_FLAGS="${DLSCALE_SBATCH_FLAGS:---account=bench}"
# export DLSCALE_HISTORY=${DLSCALE_HISTORY:-/shared/dlscale-history}

# --- reports: a Python with h5py, numpy, pandas, rich and jinja2
# export DLSCALE_PYTHON=${DLSCALE_PYTHON:-/opt/dlscale-venv/bin/python}
