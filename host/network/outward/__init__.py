"""What leaves the cluster for systems outside the network: the relay to their message broker."""
