"""Profiles: hosts by name, in a file of the user who types commands."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from host.adapters.files.durable_files import write_durably
from host.domain.errors import InvalidInputError, NotFoundError

VARIABLE = "CORDBOX_PROFILES"
"""Names another file than `~/.config/cordbox/profiles.json`."""
_NAME = re.compile(r"[-._A-Za-z0-9]{1,64}")
_URL = re.compile(r"https?://[^\s/?#]+/?")
_PROFILES_MAX = 1_000
_BYTES_MAX = 1024 * 1024


class ProfileInvalidError(InvalidInputError):
    """The name of a profile, or the file of profiles, cannot be used."""

    code = "profile-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Where a host is, and who calls it; None for what the command's own defaults say."""

    url: str
    user: str | None = None
    password_file: str | None = None
    ca_file: str | None = None

    def shown(self) -> Mapping[str, str]:
        """What is given of it, by name."""
        return {name: text for name, text in asdict(self).items() if text is not None}


class Profiles:
    """The profiles of one file, which need not exist."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @staticmethod
    def of_user() -> "Profiles":
        """Those of the user who types."""
        given = os.environ.get(VARIABLE)
        if given:
            return Profiles(Path(given))
        folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Profiles(Path(folder) / "cordbox" / "profiles.json")

    def all(self) -> Mapping[str, Profile]:
        """All profiles by name, in alphabetical order.

        Raises:
            ProfileInvalidError: the file is none of profiles.
        """
        try:
            with self._file.open("rb") as stream:
                data = stream.read(_BYTES_MAX + 1)
        except FileNotFoundError:
            return {}
        if len(data) > _BYTES_MAX:
            raise ProfileInvalidError(f"{self._file} is longer than {_BYTES_MAX} bytes")
        try:
            # Names of files need not be UTF-8: Python's decoder takes what its encoder has written.
            found = msgspec.convert(json.loads(data), type=dict[str, Profile])
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise ProfileInvalidError(f"{self._file}: no file of profiles: {error}") from error
        return dict(sorted(found.items()))

    def get(self, name: str) -> Profile:
        """The profile of this name.

        Raises:
            NotFoundError: there is none; the message names those that there are.
        """
        found = self.all()
        if name not in found:
            known = ", ".join(found) or "none"
            raise NotFoundError(
                f"there is no profile {name!r:.80}; there are: {known}", kind="profile", named=name
            )
        return found[name]

    def put(self, name: str, profile: Profile) -> None:
        """Add a profile, or replace it.

        Raises:
            ProfileInvalidError: the name, the URL, or there are too many.
        """
        if not _NAME.fullmatch(name):
            raise ProfileInvalidError(
                f"profile {name!r:.80}: a name has 1 to 64 letters, digits or '-._'"
            )
        if not _URL.fullmatch(profile.url):
            raise ProfileInvalidError(
                f"profile {name!r:.80}: {profile.url!r:.80} is no URL of a host, such as"
                " https://127.0.0.1:8888"
            )
        found = {**self.all(), name: profile}
        if len(found) > _PROFILES_MAX:
            raise ProfileInvalidError(f"there are {_PROFILES_MAX} profiles, the most that are kept")
        self._write(found)

    def delete(self, name: str) -> None:
        """Remove a profile.

        Raises:
            NotFoundError: there is none of this name.
        """
        self.get(name)
        self._write({each: profile for each, profile in self.all().items() if each != name})

    def _write(self, profiles: Mapping[str, Profile]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        shown = {name: profile.shown() for name, profile in sorted(profiles.items())}
        write_durably(self._file, [(json.dumps(shown, indent=2) + "\n").encode()])
