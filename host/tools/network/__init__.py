"""Networks of virtual nodes on running hosts, set up by the REST operations that operators call."""
