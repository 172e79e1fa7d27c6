"""Where runs are done: on this machine, over Ray, under SLURM."""
