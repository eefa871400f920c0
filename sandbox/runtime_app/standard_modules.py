"""The standard modules of a guest, imported or put on the shelf while the runtime is built.

Nothing else can be imported later, since the sandbox has no files.
"""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import sys
from importlib import import_module

from module_table import ENCODINGS, MODULES

NAMES = (
    "__future__",
    "_colorize",
    "_strptime",
    "abc",
    "annotationlib",
    "array",
    "ast",
    "base64",
    "binascii",
    "bisect",
    "calendar",
    "cmath",
    "codecs",
    "collections",
    "collections.abc",
    "contextlib",
    "contextvars",
    "copy",
    "copyreg",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16",
    "encodings.utf_8",
    "encodings.utf_8_sig",
    "enum",
    "errno",
    "fractions",
    "functools",
    "gc",
    "graphlib",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "importlib",
    "importlib.abc",
    "importlib.machinery",
    "importlib.util",
    "inspect",
    "io",
    "ipaddress",
    "itertools",
    "json",
    "json.decoder",
    "json.encoder",
    "json.scanner",
    "keyword",
    "linecache",
    "math",
    "numbers",
    "operator",
    "os",
    "pprint",
    "re",
    "reprlib",
    "statistics",
    "string",
    "string.templatelib",
    "struct",
    "sys",
    "textwrap",
    "time",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",
    "uuid",
    "warnings",
    "weakref",
    "zlib",
)
"""Loaded in every guest from the start: small, or used by nearly every package."""

_PRIVATE = """
_compat_pickle _markupbase compression._common compression._common._streams
concurrent.futures._base email._encoded_words email._header_value_parser email._parseaddr
email._policybase email.base64mime email.feedparser email.mime.nonmultipart email.quoprimime
pathlib._os pathlib.types tomllib._parser tomllib._re
tomllib._types xml.etree.ElementPath xml.sax._exceptions xml.sax.expatreader zipfile._path
zipfile._path.glob zoneinfo._common zoneinfo._tzpath
""".split()  # noqa: SIM905  # a list of quoted names is harder to read
"""Modules that those of the table import."""

ON_DEMAND = (
    *(name for name, row in MODULES.items() if row.importable),
    *_PRIVATE,
    *(f"encodings.{name}" for name in ENCODINGS),
)
"""Those that are not loaded from the start have a place on the shelf."""

for _name in NAMES:
    import_module(_name)

LOADED = frozenset(sys.modules)
"""What is loaded in every guest: these modules, and those that they import."""
