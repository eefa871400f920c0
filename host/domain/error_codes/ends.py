"""Codes of flows that the platform ended, or that failed in their own code: `flowError.code`."""

from collections.abc import Mapping

_LATER = "Nothing: runs wait until the rate is below the limit; raise the node's quota if needed."

CODES: Mapping[str, tuple[str, str]] = {
    "flow-failed": (
        "The flow's code raised an exception that has no code.",
        "See message and trace; give the exception a text attribute `code` to tell it apart.",
    ),
    "flow-killed": (
        "An operator killed the flow, or its virtual node takes no flows.",
        "Start the flow again when the node is active.",
    ),
    "flow-idle-timeout": (
        "Nothing happened to the flow for longer than `flow_processing_max_idle_time`.",
        "See what the flow waited for; raise the setting if that may take longer.",
    ),
    "session-timeout": (
        (
            "A session had no message from its peer for longer than `flow_session_timeout`, or than"
            " the flow chose."
        ),
        "See the counterparty's flow; choose a longer `timeout_millis` if it may take longer.",
    ),
    "flow-class-unknown": (
        "No workflow CPK of the CPI declares this flow.",
        "Install a CPI that declares it.",
    ),
    "flow-non-deterministic": (
        (
            "A replayed flow made another call than its journal holds; the message names step,"
            " expected and found."
        ),
        (
            "Do not keep state in module variables, and change code that has running flows only so"
            " that their calls stay the same."
        ),
    ),
    "flow-result-invalid": (
        (
            "The flow's result is not of the type that `call` declares, or it is JSON that breaks a"
            " rule of texts out of guests; the message names the place or the rule."
        ),
        "Return what `call` declares, within the limits.",
    ),
    "flow-result-too-large": (
        "The flow's result is larger than `flow_result_bytes_max`.",
        "Return less, or store the data as entities.",
    ),
    "journal-limit": (
        "The flow made more host calls than its node's quota allows in one journal.",
        "Divide the work over several flows, or raise the quota.",
    ),
    "platform-failure": (
        "A step of the flow kept failing by a fault of the platform.",
        "Look for the flow's id in the host's log.",
    ),
    "platform-unavailable": (
        "A service that the flow needs could not be reached for too long.",
        "See the state of the host's workers; start the flow again.",
    ),
    # Rates delay runs; they are counted as hits of a quota.
    "fuel-rate": (
        "The node's runs used more fuel in a second than its quota allows; further runs wait.",
        _LATER,
    ),
    "host-call-rate": (
        (
            "The node's runs spent more time in host calls in a second than its quota allows;"
            " further runs wait."
        ),
        _LATER,
    ),
    "log-rate": (
        "The node's runs logged more in a second than its quota allows; further runs wait.",
        _LATER,
    ),
}
"""Code -> (cause, remedy)."""
