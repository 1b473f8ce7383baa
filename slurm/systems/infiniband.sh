# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# InfiniBand or RoCE, Open MPI (4.1 or 5) with UCX. UNTESTED: written from the libraries' documentation, run by nobody.
#
#   DLSCALE_INTERFACE=mlx5_0:1      the port; several with commas between (UCX stripes over them); `ucx_info -d` and
#                                   `ibstat` list them. Without it UCX chooses, by bandwidth and nearness.
#   DLSCALE_ETHERNET=ib0            what the daemons of mpirun talk over (any IP network that joins the nodes)
#
# pml=ucx without a fallback: where UCX can't reach the network, the run ends in MPI_Init with UCX's message, instead of being
# measured over TCP. The run file tells too: its variables are in /system/environment, and `links` shows the bandwidth.
export OMPI_MCA_pml=${OMPI_MCA_pml:-ucx}
export OMPI_MCA_osc=${OMPI_MCA_osc:-ucx}
export OMPI_MCA_btl=${OMPI_MCA_btl:-^openib,uct}   # the old ways to the same hardware (4.x)
if [ -n "${DLSCALE_INTERFACE:-}" ]; then export UCX_NET_DEVICES=${UCX_NET_DEVICES:-$DLSCALE_INTERFACE}; fi
if [ -n "${DLSCALE_ETHERNET:-}" ]; then
  export OMPI_MCA_oob_tcp_if_include=${OMPI_MCA_oob_tcp_if_include:-$DLSCALE_ETHERNET}
fi
# UCX registers memory with the card: a low limit shows as "ibv_reg_mr failed" or as a slow run.
if [ "$(ulimit -l)" != unlimited ]; then
  echo "infiniband.sh: locked memory is limited to $(ulimit -l) KiB here; ask for PropagateResourceLimitsExcept=MEMLOCK in slurm.conf" >&2
fi
# Within a node CMA needs ptrace rights; UCX falls back by itself. To rule the network out: export UCX_TLS=tcp,sm,self
