"""Virtual nodes that leave a cluster and arrive at another one."""
