"""A Ray cluster of two nodes on this machine, as a process of its own: `python ray_cluster.py`.

Prints its address. A line on stdin kills the second node's raylet, as a machine that loses power would; the end of
stdin ends the rest. Ray listens on 127.0.0.1 only and wants the token that the environment has.
"""

from __future__ import annotations

import sys


def main() -> None:
    from ray.cluster_utils import Cluster

    quick = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "_system_config": quick})
    second = cluster.add_node(**node)
    print(cluster.address, flush=True)
    if sys.stdin.readline():
        cluster.remove_node(second, allow_graceful=False)
        print("killed", flush=True)
        sys.stdin.readline()
    cluster.shutdown()


if __name__ == "__main__":
    main()
