"""The golden receipts of the samples with Python contracts.

As a program: `python -m tests.contract_ci.golden_receipts` makes them anew, which is needed after a
change of a sample's contract or of the SDK modules that contracts have. Transactions stay.
"""

import tempfile
from pathlib import Path

from host.cli.contract import command
from host.tools.cache import default_cache_dir
from sandbox.runtime import Sandbox
from tests.contract_ci.conftest import SAMPLES, signed_cpi
from tests.support.keystores import make_key

GOLDEN = ("iou", "negotiation", "delivery")


def receipts_of(sample: str) -> Path:
    """The folder of a sample's receipts and of its `transactions.jsonl`."""
    return SAMPLES / sample / "receipts"


def main() -> None:
    sandbox = Sandbox(cache_dir=default_cache_dir())
    with tempfile.TemporaryDirectory() as made:
        key = make_key(Path(made), "signer")
        for sample in GOLDEN:
            signed = signed_cpi(SAMPLES / sample, Path(made), key, sandbox)
            folder = receipts_of(sample)
            for old in folder.glob("*.json"):
                old.unlink()
            words = ["verify", signed.cpi, folder / "transactions.jsonl"]
            words += ["--certificate", signed.certificate, "--receipts", folder]
            command.main([str(word) for word in words], standalone_mode=False)


if __name__ == "__main__":
    main()
