"""What to do about each code of the sandbox's errors; their docstrings give the causes."""

from collections.abc import Mapping

_QUOTA = "Do less in one run, or raise the node's quota or the CPK's limit: the message names it."
_REBUILD = "Build the CPK again with this release."

ERROR_CODES: Mapping[str, str] = {
    "out-of-fuel": _QUOTA,
    "deadline-exceeded": _QUOTA,
    "memory-limit": _QUOTA,
    "host-memory": "Free memory on the machine, or run fewer guests at once; the run is repeated.",
    "stack-overflow": (
        "Recurse less deeply, and nest values at most 2,000 deep: in a sandbox, Python's code in C"
        " (`json`, `repr`, comparing, freeing) has no limit of its own before the stack's end, and"
        " raises no `RecursionError`."
    ),
    "guest-trap": "Correct the code at the place in the message: it did what WebAssembly forbids.",
    "forbidden-operation": "Use the services of the SDK, for example `self.clock.now()`.",
    "capability-not-granted": "Declare the capability in `cordapp.toml` and grant it to the node.",
    "payload-too-large": _QUOTA,
    "too-many-host-calls": _QUOTA,
    "log-limit": _QUOTA,
    "payload-invalid": "Send text that is Unicode, without lone surrogates.",
    "component-refused": "Build it again without the feature, or within the limit, in the message.",
    "world-mismatch": "Build the component for the world that its CPK declares.",
    "component-unknown": "Upload the CPI again: its code is not in the host's store.",
    "compile-refused": "Make the code smaller or simpler; the message names the limit.",
    "compile-lost": "Try again; if it repeats, see the machine's memory.",
    "load-failed": "Correct the error that the message shows: the modules fail when imported.",
    "runtime-unknown": _REBUILD,
    "runtime-damaged": "Install Cordbox again; `cordbox runtime verify` checks all runtimes.",
    "source-refused": "Change the file, name or size that the message names.",
    "tool-missing": "Install the tool that the message names, and see that it is on the PATH.",
    "guest-process-died": "Report it with the host's log; the flow fails, the host goes on.",
    "guest-process-lost": "Nothing: the run is repeated. If it repeats, see the machine's memory.",
    "guest-process-violation": "Report it: the process did what no guest of this release does.",
}
"""Code -> remedy."""
