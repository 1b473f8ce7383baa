# SPDX-License-Identifier: BSD-3-Clause
"""ReFrame's settings of an example system: this machine, and a Slurm partition to be adapted."""

site_configuration = {
    "systems": [
        {
            "name": "example",
            "descr": "any machine with mpirun",
            "hostnames": [".*"],
            "partitions": [
                {
                    "name": "cpu",
                    "descr": "this machine",
                    "scheduler": "local",
                    "launcher": "mpirun",
                    "environs": ["builtin"],
                    "max_jobs": 1,  # jobs side by side would measure each other
                },
                {  # not tested
                    "name": "batch",
                    "descr": "through Slurm",
                    "scheduler": "slurm",
                    "launcher": "srun",
                    "access": ["--exclusive"],
                    "environs": ["builtin"],
                },
            ],
        }
    ],
}
