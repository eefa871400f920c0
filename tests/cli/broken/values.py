"""Broken values, by the kind of parameter that they are for."""

import io
import os
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

HALF = "\udcff"
"""The byte FF of an argument that is no UTF-8, as Python gives it."""
DEEP = 100_000
LONG = 1024 * 1024

TEXTS: Mapping[str, str] = {
    "empty": "",
    "space": " ",
    "half character": f"a{HALF}b",
    "surrogate": "a\ud83d",
    "control characters": "a\x01\x1b[31m\r\n\tb\x7f",
    "option-like": "--nonsense",
    "dash": "-",
    "dots": "../../../etc/passwd",
    "percent": "%s%n%00{0}{x}",
    "equals": "=,=",
    "long": "x" * LONG,
    "name": "O=Alice, L=London, C=GB",
    "broken name": "O=Alice,, L=",
    "environment": "env:NO_SUCH_VARIABLE",
    "environment of nothing": "env:",
    "hardware": "pkcs11:token=none;object=none",
    "hardware of nothing": "pkcs11:",
    "not a URL": "http://[::1",
    "URL of no port": "https://127.0.0.1:99999/",
    "URL of another scheme": "file:///etc/passwd",
    "URL with a space": "https://a b/",
    "URL without a host": "https://",
    "URL with an odd name": "https://xn--\u00df.\u2024./",
    "pairs": "a=b=c",
    "right-to-left": "\u202eabc\u2066",
    "file": "/etc/hostname:7",
    "colons": ":::",
}
NUMBERS: Mapping[str, str] = {
    "empty": "",
    "not a number": "many",
    "half character": HALF,
    "negative": "-1",
    "zero": "0",
    "huge": "9" * 400,
    "longer than Python reads": "9" * 5000,
    "beyond 64 bits": str(1 << 64),
    "not finite": "inf",
    "no number": "nan",
    "fraction": "0.5",
    "exponent": "1e400",
    "other digits": "\u0663",
    "hexadecimal": "0x10",
}
TIMES: Mapping[str, str] = {
    "year 1": "0001-01-01",
    "year 1 east": "0001-01-01T00:00:00+14:00",
    "year 9999": "9999-12-31T23:59:59.999999-14:00",
    "no month": "2026-13-01",
    "week": "2026-W01-1",
}


def _archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


CONTENTS: Mapping[str, bytes] = {
    "empty": b"",
    "random": bytes((n * 7919 + 13) % 256 for n in range(4096)),
    "zeros": bytes(4096),
    "a letter": b"x",
    "half UTF-8": b'{"a": "\xff\xfe\x80"}',
    "NUL": b"a\0b\n",
    "line": b"x" * (8 * LONG),
    "JSON nested": b"[" * DEEP + b"]" * DEEP,
    "JSON objects nested": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "JSON cut": b'{"a": [1, 2',
    "JSON keys twice": b'{"a": 1, "a": 2}',
    "JSON null": b"null",
    "JSON list": b"[1, 2]",
    "JSON text": b'"text"',
    "JSON number": b"1" * 6000,
    "JSON number huge": b"1e999999",
    "JSON NaN": b"NaN",
    "JSON half character": b'{"a": "\\ud800"}',
    "JSON object": b"{}",
    "JSON BOM": b"\xef\xbb\xbf{}",
    "JSON UTF-16": '{"a": 1}'.encode("utf-16"),
    "TOML cut": b"a = [1,\n",
    "TOML keys twice": b"a = 1\na = 2\n",
    "TOML nested": b"a = " + b"[" * DEEP + b"]" * DEEP,
    "TOML of wrong types": b"name = 1\n[project]\nname = []\n",
    "TOML dotted": b".".join([b"a"] * 20_000) + b" = 1\n",
    "YAML bomb": b"a: &a [x, x]\n"
    + b"".join(b"%c: &%c [*%c, *%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 121)),
    "YAML nested": b"[" * 20_000,
    "YAML tag": b"!!python/object/apply:os.system ['true']\n",
    "YAML tab": b"a:\n\t- b\n",
    "PEM cut": b"-----BEGIN CERTIFICATE-----\nMIIB",
    "PEM of nothing": b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "PEM of rubbish": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "PEM key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "DER nested": b"\x30\x80" * 5000,
    "PKCS#12 cut": b"\x30\x82\x04\x00\x02\x01\x03",
    "archive of nothing": _archive(),
    "archive": _archive(a=b"x"),
    "archive cut": _archive(a=b"x" * 100)[:60],
    "manifest alone": _archive(**{"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\n\r\n"}),
    "WebAssembly": b"\0asm\x01\0\0\0",
    "WebAssembly component": b"\0asm\x0d\0\x01\0",
    "WebAssembly cut": b"\0asm\x0d\0\x01\0\x07\xff\xff\xff\xff\x0f",
    "lines": b"\n" * 100_000,
    "lines of objects": b"{}\n[]\nnull\n",
}

Make = Callable[[Path], Path]


def _content(data: bytes) -> Make:
    def make(path: Path) -> Path:
        path.write_bytes(data)
        return path

    return make


def _missing(path: Path) -> Path:
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _full_folder(path: Path) -> Path:
    """A folder whose entries are odd."""
    path.mkdir()
    (path / "cordapp.toml").mkdir()
    (path / f"a{HALF}.py").write_text("x = 1")
    (path / "loop").symlink_to("loop")
    (path / "nothing").symlink_to("/nonexistent/x")
    os.mkfifo(path / "pipe.json")
    (path / "data.json").write_text("[")
    return path


def _loop(path: Path) -> Path:
    path.symlink_to(path.name)
    return path


def _dangling(path: Path) -> Path:
    path.symlink_to("/nonexistent/x")
    return path


def _link(path: Path, target: str) -> Path:
    """A link: were it replaced instead of written to, the device would stay."""
    path.symlink_to(target)
    return path


def _secret(path: Path) -> Path:
    path.write_bytes(b"{}")
    path.chmod(0)
    return path


def _pipe(path: Path) -> Path:
    """A pipe that somebody writes to and closes once it is read."""
    os.mkfifo(path)

    def write() -> None:
        with suppress(OSError), path.open("wb") as pipe:
            pipe.write(b"{}")

    threading.Thread(target=write, daemon=True).start()
    return path


def _odd_name(path: Path) -> Path:
    odd = path.with_name(f"odd{HALF}\x1b[1m\n.json")
    odd.write_bytes(b"{}")
    return odd


PLACES: Mapping[str, Make] = {
    **{f"file: {name}": _content(data) for name, data in CONTENTS.items()},
    "missing": _missing,
    "below what is missing": lambda path: path / "a" / "b",
    "below a file": lambda path: _content(b"x")(path) / "a",
    "folder": _folder,
    "folder of odd things": _full_folder,
    "loop": _loop,
    "dangling": _dangling,
    "without permission": _secret,
    "pipe": _pipe,
    "odd name": _odd_name,
    "name too long": lambda path: path.with_name("x" * 300),
    "path too long": lambda path: Path("/" + "x/" * 3000),
    "device": lambda path: _link(path, "/dev/null"),
    "full disk": lambda path: _link(path, "/dev/full"),
    "process memory": lambda path: _link(path, "/proc/self/mem"),
    "empty word": lambda _: Path(),
}


def broken_values(parameter: click.Parameter, folder: Path) -> Mapping[str, Callable[[], str]]:
    """Makers of broken values for a parameter, by what is wrong with them."""
    kind = parameter.type
    if isinstance(kind, (click.Path, click.File)):
        return {
            name: lambda make=make: str(make(folder / "broken"))  # type: ignore[misc]
            for name, make in PLACES.items()
        }
    texts: Mapping[str, str] = TEXTS
    if kind.name in {"integer", "float", "integer range", "float range"}:
        texts = NUMBERS
    elif kind.name.lower() == "time":
        texts = {**TEXTS, **TIMES}
    elif isinstance(kind, click.Choice):
        texts = {name: TEXTS[name] for name in ("empty", "half character", "option-like")}
    return {name: lambda text=text: text for name, text in texts.items()}  # type: ignore[misc]


def applicable(command: click.Command) -> Sequence[click.Parameter]:
    """The parameters that take a value."""
    return [p for p in command.params if not (isinstance(p, click.Option) and p.is_flag)]
