# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Nodes on plain Ethernet, Open MPI over TCP. Run by tests/cluster (Open MPI 4.1, Slurm 22.05, srun and mpirun).
#
# Open MPI takes every interface that is up, also bridges of containers and management networks whose addresses are the
# same on all nodes; then a run hangs in MPI_Init or at the first message. Say which one is the network:
#   DLSCALE_INTERFACE=eth0          a name, or a network as in 10.1.0.0/16 where names differ from node to node
interface=${DLSCALE_INTERFACE:-eth0}
export OMPI_MCA_pml=${OMPI_MCA_pml:-ob1}
export OMPI_MCA_btl=${OMPI_MCA_btl:-self,vader,tcp}
export OMPI_MCA_btl_tcp_if_include=${OMPI_MCA_btl_tcp_if_include:-$interface}   # messages
export OMPI_MCA_oob_tcp_if_include=${OMPI_MCA_oob_tcp_if_include:-$interface}   # mpirun and its daemons
export UCX_NET_DEVICES=${UCX_NET_DEVICES:-$interface}                           # were UCX chosen after all
