"""The package room stands alone: what it imports, and the codes that it documents."""

import subprocess
import sys
from pathlib import Path

import cpi
from cpi.errors import Code

ALLOWED = ("cryptography", "asn1crypto", "msgspec", "jsonschema", "rfc8785", "zstandard", "click")
CLOSURE = (
    # What the allowed distributions need themselves.
    "attr",
    "attrs",
    "cffi",
    "_cffi_backend",
    "pycparser",
    "jsonschema_specifications",
    "referencing",
    "rpds",
    "typing_extensions",
)

PROBE = """
import importlib, pkgutil, sys
allowed = set(sys.argv[1].split(",")) | set(sys.stdlib_module_names) | {"cpi"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
        return None
sys.meta_path.insert(0, Blocker())
import cpi
names = [m.name for m in pkgutil.walk_packages(cpi.__path__, "cpi.")]
for name in names:
    importlib.import_module(name)
from cpi.schemas import validator
validator("group_policy").is_valid({})
print(len(names))
"""


def test_cpi_imports_only_what_it_may() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, ",".join((*ALLOWED, *CLOSURE))],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(cpi.__file__).parents[1],
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_every_code_is_used_and_kebab_case() -> None:
    folder = Path(cpi.__file__).parent
    source = "".join(p.read_text() for p in folder.rglob("*.py") if p.name != "errors.py")
    for code in Code:
        assert f"Code.{code.name}" in source, f"{code.name} is never raised"
        assert code.value.replace("-", "").replace("64", "").isalpha()
        assert code.value == code.value.lower()
