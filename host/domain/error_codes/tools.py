"""What to do about refusals of commands for developers, operators and auditors."""

from collections.abc import Mapping

REMEDIES: Mapping[str, str] = {
    # Building CorDapps
    "notary-server-unknown": "Give one of the names that the message lists.",
    "cordapp-dependency-refused": "Give a built CPK of contracts, and its signer's certificate.",
    "cordapp-lint-refused": "Change the place that each finding names, or allow it with a reason.",
    "cordapp-not-python": "Use the kit's sandbox mode.",
    "cordapp-project-exists": "Choose another folder.",
    "cordapp-project-invalid": "Correct the problems in `cordapp.toml` that the message lists.",
    "cordapp-source-refused": "Correct the file and line that each problem names.",
    "cordapp-vendoring-refused": "Use another version or package; the message has the reason.",
    "toolchain-failed": "Correct what the compiler reports.",
    "toolchain-missing": "Install the tool that the message names.",
    # Running CorDapps
    "dev-host-not-started": "See the end of the log in the message.",
    "dev-members-changed": "Use the same members, or another folder.",
    "flow-export-incomplete": "Raise the history's limits, and record the flow again.",
    "flow-not-in-code": "Replay with the code that ran, or one that declares the flow.",
    "flow-still-running": "Wait longer, or look at what the flow waits for.",
    # Networks
    "certificate-authority-failed": "Run the command of --ca-command by hand: it reads a request"
    " and writes a chain, both in PEM.",
    "network-up-changed": "Use the same hosts and terms, or another folder.",
    "network-up-unknown": "Name the folder that `cordbox network up` made, or run it.",
    # Contracts
    "cpi-without-contract": "Give a CPI with a contract CPK.",
    "fuzz-extra-missing": "Install the extra `fuzz`.",
    "receipt-invalid": "Give a file that `contract verify --receipts` wrote.",
    "transaction-file-invalid": "Write one ledger transaction as JSON to a line.",
    "verification-worker-lost": "Use fewer `--jobs`, or a machine with more memory.",
    # Hosts and clusters
    "certificate-untrusted": "Give the host's certificate by `--ca-file`.",
    "cluster-answer": "Check the URL: the server is no host of this release.",
    "cluster-snapshot-invalid": "Write the snapshot again with this release.",
    "location-file-invalid": "Give what `cordbox vnode location --output json` printed.",
    "move-to-same-cluster": "Name the new host by `--to`.",
    "node-exported-to-another-key": "Give that key and its file, or take the node back with"
    " `cordbox vnode cancel-export`.",
    "node-file-taken": "Give a file that is not there yet.",
    "node-transfer-failed": "Mend what the message names, then run the command again.",
    "host-conflict": "See the reason in the message: the host answered without a code.",
    "host-refused": "See the reason in the message: the host answered without a code.",
    "node-answer": "Use the release of the host.",
    # Audits
    "audit-policy-invalid": "Correct the policy at the places that the message names.",
    "gauntlet-attack-client": "Run the gauntlet again on a machine with more memory.",
    "gauntlet-neighbour": "Report it: an attack has disturbed an honest flow.",
}
"""Code -> remedy. The first line of the class's docstring is the cause."""
