"""Broken inputs of all commands: values for each kind of parameter, hosts and streams."""
