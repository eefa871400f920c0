"""Codes that the REST server, the command line and verdicts give without an error class."""

from collections.abc import Mapping

COMMANDS: Mapping[str, tuple[str, str]] = {
    "file-access": (
        "A file of the command cannot be read or written; the message has the system's reason.",
        "Check the path, its owner and permissions.",
    ),
    "command-failed": (
        "The command failed unexpectedly: a defect of Cordbox.",
        "Report it, with the traceback that `CORDBOX_TRACEBACK=1` shows.",
    ),
    "usage": (
        "The command was called wrongly; with `--output json` the reason has this code.",
        "Correct the argument that the message names; `--help` shows all.",
    ),
    "contract-refused": (
        "A contract refused the transaction without saying why in a readable form.",
        'Let `verify` answer `{"failures": [..]}`; the SDKs do so.',
    ),
    "contract-unknown": (
        "No contract CPK of the CPI declares the contract that governs the state.",
        "Add the CPK to the CPI, or correct the state's contract.",
    ),
    "flow-not-ended": (
        "In the test kit, a flow waits for something that will not happen.",
        "Let the test advance the network's time, or answer what the flow waits for.",
    ),
}
"""Code -> (cause, remedy), of commands and the test kit."""

REST: Mapping[str, tuple[int, str, str]] = {
    "path-unknown": (404, "The path does not exist.", "Use a path of the OpenAPI document."),
    "method-not-allowed": (
        405,
        "The path has no such method.",
        "Use a method of the OpenAPI document.",
    ),
    "path-too-long": (
        414,
        "The path is longer than any operation's.",
        "Check the ids in the path.",
    ),
    "internal-error": (
        500,
        "The host failed unexpectedly.",
        "Look at the host's log, at the time of the request, and report it.",
    ),
}
"""Code -> (status, cause, remedy), of the REST server's own answers."""
