"""The REST interface: Corda 5's paths and JSON over the host's use cases."""
