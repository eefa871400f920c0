"""One PKCS#11 token: its objects, and operations in short sessions.

Every operation opens a session and closes it, so nothing is left open and no session is shared
between threads.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, ObjectClass

from plugins.pkcs11_hsm.errors import (
    HardwareKeyError,
    HardwareKeyNotFoundError,
    HardwarePinError,
    HardwareUnavailableError,
)
from plugins.pkcs11_hsm.uri import KeyUri

MODULE_VARIABLE = "CORDBOX_PKCS11_MODULE"
_T = TypeVar("_T")
_CERTIFICATES_MAX = 64
_CERTIFICATE_BYTES_MAX = 64 * 1024
_PIN_ERRORS = (
    pkcs11.PinIncorrect,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.PinLocked,
    pkcs11.PinExpired,
    pkcs11.UserNotLoggedIn,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCertificate:
    """A certificate on a token; `id` and `label` are those of its key, or empty."""

    der: bytes
    label: str
    id: bytes


class Token:
    """The token that a URI names, and the private key on it."""

    def __init__(self, uri: KeyUri, *, pin: str | None) -> None:
        """Find the token.

        Raises:
            HardwareUnavailableError: there is no library, it cannot be loaded, or not exactly one
                token fits.
        """
        self._uri = uri
        self._pin = pin
        self._token = _find_token(uri)

    def with_key(self, use: Callable[[Any], _T]) -> _T:
        """The result of `use` for the private key, called while a session is open.

        Raises:
            HardwareKeyError: PIN, key or operation is refused.
        """
        with self._session() as session:
            keys = list(session.get_objects(self._wanted(ObjectClass.PRIVATE_KEY)))
            if len(keys) != 1:
                hint = "" if self._pin or keys else "; private keys may need a PIN to be seen"
                raise HardwareKeyNotFoundError(
                    f"{self._uri} names {len(keys)} private keys, expected 1{hint}"
                )
            return use(keys[0])

    def certificates(self) -> list[StoredCertificate]:
        """Every certificate on the token, in its order.

        Raises:
            HardwareKeyError: the token cannot be read, or holds too many of them.
        """
        stored: list[StoredCertificate] = []
        with self._session() as session:
            found = session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE})
            for count, entry in enumerate(found, 1):
                der = bytes(entry[Attribute.VALUE])
                if count > _CERTIFICATES_MAX or len(der) > _CERTIFICATE_BYTES_MAX:
                    raise HardwareKeyError(
                        f"{self._uri}: more than {_CERTIFICATES_MAX} certificates, or one of more "
                        f"than {_CERTIFICATE_BYTES_MAX} bytes"
                    )
                key_id, label = bytes(entry[Attribute.ID] or b""), str(entry[Attribute.LABEL] or "")
                stored.append(StoredCertificate(der=der, label=label, id=key_id))
        return stored

    def _wanted(self, kind: ObjectClass) -> dict[Attribute, object]:
        wanted: dict[Attribute, object] = {Attribute.CLASS: kind}
        if self._uri.object is not None:
            wanted[Attribute.LABEL] = self._uri.object
        if self._uri.id is not None:
            wanted[Attribute.ID] = self._uri.id
        return wanted

    @contextmanager
    def _session(self) -> Iterator[Any]:
        try:
            with self._token.open(user_pin=self._pin) as session:
                yield session
        except _PIN_ERRORS as error:
            raise HardwarePinError(
                f"{self._uri}: the token refuses the PIN, or needs one ({type(error).__name__})"
            ) from error
        except pkcs11.PKCS11Error as error:
            raise HardwareKeyError(
                f"{self._uri}: the token refuses: {type(error).__name__} {error}".rstrip()
            ) from error


def _find_token(uri: KeyUri) -> Any:
    module = uri.module_path or os.environ.get(MODULE_VARIABLE)
    if not module:
        raise HardwareUnavailableError(
            f"no PKCS#11 library is named: add ?module-path=/path/to/library.so to the URI or set "
            f"{MODULE_VARIABLE}"
        )
    if not Path(module).is_file():
        raise HardwareUnavailableError(f"the PKCS#11 library {module} is not there")
    try:
        tokens = [t for t in pkcs11.lib(str(module)).get_tokens() if _fits(t, uri)]
    except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
        raise HardwareUnavailableError(f"the PKCS#11 library {module}: {error}") from error
    if len(tokens) != 1:
        raise HardwareUnavailableError(f"{len(tokens)} tokens fit {uri}, expected 1")
    return tokens[0]


def _fits(token: Any, uri: KeyUri) -> bool:
    stated = (
        (uri.token, token.label),
        (uri.serial, token.serial.decode(errors="replace")),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
    )
    return all(wanted is None or wanted == found.strip() for wanted, found in stated)
