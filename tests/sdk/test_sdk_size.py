"""The SDK's weight in packages, and that contracts carry none of its flow side."""

import subprocess
import sys
import zlib
from pathlib import Path

SDK = Path(__file__).parents[2] / "sandbox" / "sdk"
CONTRACT_SIDE = [
    "__init__",
    "checks",
    "constraints",
    "containers",
    "contracts",
    "failures",
    "forms",
]
CONTRACT_SIDE += ["guest", "messages", "places", "records", "registry", "schema", "texts", "unions"]


def deflated(names):
    return sum(
        len(zlib.compress((SDK / "cordapp" / f"{name}.py").read_bytes(), 9)) for name in names
    )


def test_sdk_stays_small():
    everything = [path.stem for path in (SDK / "cordapp").glob("*.py")]
    assert deflated(CONTRACT_SIDE) < 40_500
    assert deflated(everything) < 82_000


def loaded_by(statement):
    code = (
        f"import sys; {statement}; "
        "print(*sorted(m[8:] for m in sys.modules if m.startswith('cordapp.')))"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=SDK, capture_output=True, text=True, check=True)
    return ran.stdout.split()


def test_contract_side_imports_no_flow_side():
    assert loaded_by("import cordapp.guest") == CONTRACT_SIDE[1:]


def test_flow_side_leaves_the_guest_to_be_imported_last():
    """Then its type hints are resolved once all classes are there, before the snapshot."""
    assert "guest" not in loaded_by("import cordapp.flows")
