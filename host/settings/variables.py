"""Environment variables of Cordbox other than settings, and a check for unknown ones. Pure."""

import difflib
from collections.abc import Iterable, Mapping

from host.settings.errors import SettingsInvalidError

PREFIX = "CORDBOX_"

OTHER_VARIABLES: Mapping[str, str] = {
    "CORDBOX_ADMIN_PASSWORD": "password of `admin`, for a first start and for commands",
    "CORDBOX_BACKUP_PASSPHRASE": "passphrase of a backup",
    "CORDBOX_CA_FILE": "certificates by which a command trusts a host",
    "CORDBOX_PROFILE": "profile of the host that a command asks (`cordbox profile`)",
    "CORDBOX_PROFILES": "file of the profiles, instead of `~/.config/cordbox/profiles.json`",
    "CORDBOX_TRACEBACK": "1 shows the traceback of a command that fails by a defect",
    "CORDBOX_PKCS11_MODULE": "library of a PKCS#11 token that signs packages",
    "CORDBOX_STOREPASS": "password of a keystore that signs packages",
    "CORDBOX_URL": "address of the host that a command asks",
}
"""Variables for other purposes, with the purpose of each."""

_OF_THE_TESTS = frozenset(
    PREFIX + name
    for name in (
        "ARCHIVES",
        "BROKEN_INPUTS",
        "CERTIFICATES",
        "CHAOS",
        "CHAOS_SEED",
        "DATABASE_RESTARTS",
        "DEATHS",
        "DOUBLE_SPENDS",
        "EXAMPLES",
        "GAUNTLET",
        "CONSOLE_FLOWS",
        "CONSOLE_NODES",
        "HOST_KILLS",
        "IDLE_NODES",
        "IMAGE_BUILDS",
        "KAFKA_LIBS",
        "KILLS",
        "KILL_SEED",
        "MODELS",
        "MUTATIONS",
        "NEIGHBOUR_ATTACKS",
        "NEIGHBOUR_SAMPLES",
        "NETWORK",
        "RACED_STATES",
        "RACES",
        "RACE_KILLS",
        "RAISING_CALLS",
        "REQUESTS",
        "SCHEDULES",
        "SEED",
        "SMITH_MODULES",
        "SMITH_RUNS",
        "SPELLINGS",
        "SURROUNDINGS",
    )
)
"""The variables of tests and benchmarks, which start hosts (CONTRIBUTING.md)."""


def refuse_unknown(variables: Iterable[str], settings: Iterable[str]) -> None:
    """Check that every variable with our prefix is known: a misspelt one would have no effect.

    Values are not shown; they may be passwords.

    Raises:
        SettingsInvalidError: one is unknown; names it and the most similar known one.
    """
    known = {PREFIX + name.upper() for name in settings} | OTHER_VARIABLES.keys()
    for variable in sorted(variables):
        if not variable.startswith(PREFIX) or variable in known or variable in _OF_THE_TESTS:
            continue
        own = variable.removeprefix(PREFIX).upper()
        near = difflib.get_close_matches(own, sorted(k.removeprefix(PREFIX) for k in known), 1)
        hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        raise SettingsInvalidError(f"unknown environment variable {variable!r:.80}{hint}")
