"""The registry of the host's error codes: for each, what to do, and its cause if no class tells it.

Error classes have a code and, as the first line of their docstring, its cause; their remedies are
in `refusals`, `storage` and `tools`. Codes that travel as data, not as the class of an exception,
have cause and remedy here: `calls` that a flow may catch, `ends` of flows, `findings` of checks,
`routing` of the REST server and the command line. Packages beside the host have tables of their
own: `cpi.error_codes`, `sandbox.error_codes`, `plugins.pkcs11_hsm.error_codes`,
`plugins.kafka.error_codes`, `plugins.postgres.error_codes`.
`host.cli.error_registry` puts all of them together. Pure.
"""
