"""What to do about refusals that hosts answer over REST, on the command line or at start."""

from collections.abc import Mapping

_NEW_ID = "Choose another client request id."
_MACHINE = "Free what the message names (disk, memory, processes); the host goes on by itself."
_LATER = "Try again later."
_CERTIFICATE = "Give a certificate and private key that fit each other, as PEM, in their settings."

REMEDIES: Mapping[str, str] = {
    # Any kind of object
    "not-found": "Check kind and id in `details`; list the objects that there are.",
    "conflict": "Look at the object's present state; the message names what forbids the change.",
    "invalid-input": "Correct the value that the message names.",
    "request-invalid": "Correct the field or parameter that the message names; the OpenAPI document"
    " and the page of the host API have the forms.",
    "operation-not-allowed": "Change the state that the message names first.",
    "unavailable": _LATER,
    "platform-outage": _MACHINE,
    "state-conflict": "Repeat the request: another one was faster.",
    # Users
    "not-authenticated": "Send user name and password of a user of this host.",
    "sign-in-delayed": "Wait the seconds of `Retry-After`, and check the password.",
    "forbidden": "Ask an administrator for a permission for the action that `details` names.",
    "user-exists": "Choose another login name.",
    "password-expired": "Set another password by `POST /user/selfpassword`, or ask an"
    " administrator.",
    "permission-invalid": "Write an expression of Rust's `regex` syntax, of at most 255"
    " characters.",
    "profile-invalid": "Choose another name, or delete the file that the message names.",
    "role-invalid": "Correct the text, or send fewer permissions at once.",
    "role-exists": "Choose another name, or use the role that there is.",
    "association-exists": "Nothing: the user has the role already, or the role the permission.",
    "association-missing": "Check the identifiers: `GET /user/{loginname}` shows those of roles,"
    " `GET /role/{id}` those of permissions.",
    "group-not-empty": "Put its users and groups elsewhere first: `GET /group/{groupid}` names"
    " them.",
    "group-nesting": "Choose another parent: `GET /group/{groupid}` shows what is in a group.",
    "access-limit": "Use the roles and permissions that there are; give several users one role.",
    "user-invalid": "Choose a login name and password by the rules in the message.",
    # Networks of several clusters
    "member-context-invalid": "Correct the entry that the message names.",
    "approval-rule-invalid": "Write an expression of Rust's `regex` syntax, of at most 1000"
    " characters.",
    "mgm-required": "Name the MGM's virtual node, after its registration.",
    "mgm-elsewhere": "Ask the host where it is: `cordbox vnode location NODE` tells it.",
    "group-fork": "The list takes no more updates: ask the MGM's operator why there are two lists.",
    "membership-package-gap": "Nothing by hand: what is missing is asked for.",
    "membership-package-refused": "Nothing by hand: the list is asked for again; if it persists,"
    " ask the MGM's operator.",
    "membership-message-invalid": "Nothing by hand: a peer's message was refused, and it is asked"
    " again; if it persists, compare the versions of both clusters.",
    # Requests
    "client-request-id-invalid": _NEW_ID,
    "cursor-invalid": "Take the cursor from the answer before, for the same list; or begin anew.",
    "form-part-invalid": "Send the parts that the operation documents, each once.",
    "json-duplicate-key": "Write each member of an object once.",
    "json-invalid": "Send JSON by RFC 8259 within the limits that the message names.",
    "json-too-long": "Send less at once; packages are uploaded as forms.",
    "parameter-nul": "Leave out the character U+0000.",
    "query-key-repeated": "Give the query key once.",
    "query-key-unknown": "Use a query key that the operation documents.",
    "query-too-long": "Send fewer query keys.",
    "vault-database-unknown": "Leave out the connection: the host makes the databases of virtual"
    " nodes itself.",
    "short-hash-invalid": "Give the 12 hexadecimal digits that `GET /virtualnode` lists.",
    "transaction-id-invalid": "Give `SHA-256D:` and 64 hexadecimal digits, as flows answer it and"
    " `cordbox ledger list` shows it.",
    "transaction-not-repairable": "A draft is submitted, and one that names no notary completed, by"
    " its flow; in place of one that is invalid for ever, build another.",
    "url-invalid": "Give scheme, host and port, such as `https://127.0.0.1:8888`; ids and texts"
    " of a request have limits, too.",
    "x500-name-invalid": "Write the name as Corda does, for example `O=Alice, L=London, C=GB`.",
    "workers-invalid": "Write for example `combined`, or `flow=2,crypto=1`.",
    # Flows
    "dead-letter-final": "Discard it; start a flow anew if its work is still wanted.",
    "dead-letter-id-invalid": "Take the id from `GET /deadletter`.",
    "dead-letter-moved": "List the dead letters again, and the discarded ones.",
    "flow-already-started": _NEW_ID,
    "flow-ended": "Nothing: the flow has its final status.",
    "flow-export-invalid": "Export the flow again with this release.",
    "flow-export-too-large": "Look at the flow with `cordbox flow show` or the history's pages.",
    "flow-input-invalid": "Correct the body at the JSON path in `details`; the node's"
    " `openapi.json` has the schema.",
    "flow-not-startable": "Start one of the flows that `GET /flowclass/<node>` lists.",
    "flow-record-damaged": "Look at the host's log and check the disk; restore a backup if more is"
    " damaged (`cordbox host check`).",
    "flow-status-unknown": "Use one of the statuses in the message.",
    "flows-too-many": "Wait until flows end, or raise the node's quota.",
    # Virtual nodes and packages
    "certificate-refused": "Import a PEM chain for a usage and alias that the message allows.",
    "cpi-not-found": "Upload the CPI, or give the checksum that `GET /cpi` lists.",
    "cpi-upgrade-invalid": "Upgrade to a CPI of the same name, signers and group.",
    "cpi-upgrade-same": "Nothing: the node runs this CPI.",
    "cpk-code-mismatch": "Build the package again; do not change its files after the build.",
    "cpk-code-refused": "Build the CPK with this release; the message has the sandbox's reason.",
    "cpk-declaration-invalid": "Build the CPK with this release, and correct the declaration that"
    " the message names.",
    "cpk-descriptor-mismatch": "Build the package again: its code or descriptor was changed.",
    "entity-declaration-invalid": "Correct the query, migration or index that the message names.",
    "entity-migration-failed": "Correct the entity that the message names, or the migration.",
    "entity-schema-too-new": "Use a CPI that is not older than the one that wrote the entities.",
    "group-of-others": "Ask the group's founders for a CPI that they signed; force the upload only"
    " if you know both.",
    "group-parameters-invalid": "Get the group parameters from the group's MGM again.",
    "group-parameters-unknown": "Register a member of the group first.",
    "json-schema-invalid": "Correct the schema in the declaration that the message names.",
    "query-declaration-invalid": "Correct the query at the place that the message names"
    " (docs/reference/vault-queries.md).",
    "package-duplicate": "Raise the version in the package, or force the upload.",
    "package-upload-refused": "See `check` in `details` and the message;"
    " `cordbox package preflight` checks a file before.",
    "quota-exceeded": "Delete or archive what fills the account that the message names, or raise"
    " the node's quota.",
    "quota-invalid": "Use a name and range that `GET /virtualnode/<node>/quota` shows.",
    "upload-interrupted": "Upload the package again.",
    "upload-unknown": "Upload the package again, and ask with the id of the answer.",
    "node-imports-waiting": "Send the files of the imports that were begun; after a day they end.",
    "transfer-part-misplaced": "Send the part that begins at the size that the message names.",
    "transfer-part-too-large": "Send the file in parts of at most 8 MiB.",
    "location-claim-invalid": "Give what the message names; see docs/how-to/move-a-node.md.",
    "virtual-node-location": "See `cordbox vnode location NODE`, and docs/how-to/move-a-node.md.",
    "virtual-node-cannot-leave": "Mend what the message names, then export the node again.",
    "static-group-exists": "Import the group where no group of its id is, or delete this import.",
    "group-files-invalid": "Give the folder of the group's last export; see"
    " docs/how-to/move-a-node.md.",
    "virtual-node-elsewhere": "Use the node's new host, or take it back with"
    " `cordbox vnode cancel-export`.",
    "node-file-item-invalid": "Export the node again with this release, and import that file.",
    "virtual-node-exists": "Use the node that is there, or another name or group.",
    "virtual-node-in-maintenance": "Set the node to ACTIVE first, or upgrade it by `kill`.",
    "cpi-upgrade-refused": "Read the report (`cordbox vnode upgrade --dry-run`); choose another"
    " way, or change the CorDapp.",
    "cpi-upgrade-way-invalid": "Choose `kill`, `drain`, `finish` or `migrate`.",
    "flow-busy": "Nothing by hand: it is tried again.",
    "virtual-node-paused": "Resume the node with `cordbox vnode resume` first.",
    "virtual-node-not-in-maintenance": "Set the node to MAINTENANCE first.",
    "virtual-node-operation-in-progress": "Wait until the other operation has ended.",
    "virtual-node-state-invalid": "Use ACTIVE or MAINTENANCE.",
    # Keys
    "csr-invalid": "Give an X.500 name with O, L and C, and a signature spec that fits the key.",
    "key-alias-exists": "Choose another alias.",
    "key-alias-invalid": "Choose an alias by the rule in the message.",
    "key-import-invalid": "Export the node again; a file that was changed does not open.",
    "key-category-invalid": "Use one of the categories that the message names.",
    "key-not-found": "Use a key that `GET /key/<node>` lists; a flow signs with its node's keys.",
    "network-policy-invalid": "Give the CPI the group policy that the network's MGM exports.",
    "network-setup-refused": "Give one preferred session key of the node, and certificates that"
    " lead to the trust roots of its group policy.",
    "endpoint-refused": "Give the https URL of a gateway: host and port, outside denied networks.",
    "gateway-tls-refused": "Import a TLS certificate whose key the tenant has, and that leads"
    " to the trust roots of the group policy.",
    "ping-failed": "Look at the member with `cordbox network peers`; its gateway may be down.",
    "sealed-invalid": "Have it encrypted again, to the present key: it may have been replaced.",
    "key-scheme-unknown": "Use a scheme that `GET /key/<node>/schemes/SOFT` lists.",
    "key-rotation-in-progress": "Wait until the rotation has ended; its status names what is left.",
    "public-key-invalid": "Give the key as PEM SubjectPublicKeyInfo.",
    "signature-spec-invalid": "Use a spec of the key's scheme, for example `SHA256withECDSA`.",
    # Settings and start
    "config-invalid": "Correct the key that the message names; `cordbox config` shows the limits.",
    "config-key-pinned": "Change the host's own settings (file, environment or command line).",
    "config-schema-version": "Read the section again and send its present schema version.",
    "external-user-refused": "Make a user of that name without a password, or a group that stands"
    " for one of the user's at the provider (`oidc_groups`).",
    "identity-provider-unavailable": "See why the provider does not answer; sign in by a password"
    " meanwhile.",
    "token-refused": "Get a new token for this host's audience; `token` in `details` says what was"
    " wrong with this one.",
    "config-secret-misplaced": "Give the value readably, or another key: the page of settings says"
    " which keys are secrets.",
    "config-secret-missing": "Give the secret itself, sealed by `cordbox secret-config create`.",
    "config-secret-plain": "Seal the value by `cordbox secret-config create`, and send what that"
    " prints.",
    "config-secret-unreadable": "Seal the value again under the passphrase and salt of the host"
    " (`secrets_passphrase_file`, `secrets_salt_file`).",
    "config-secrets-unavailable": "Give the host `secrets_passphrase_file` and `secrets_salt_file`,"
    " and start it again.",
    "secret-invalid": "Give a value of at most 4096 bytes, and a passphrase and salt that are not"
    " blank.",
    "secret-type-unsupported": "Seal the value itself, with type CORDA.",
    "config-version-conflict": "Read the section again, and repeat the change on that version.",
    "capability-twice": "Switch one of the two plugins off.",
    "isolation-missing": "Run the host where the wall is available, or take it out of"
    " `isolation_required`.",
    "listen-refused": "Choose a free port and an address of this machine.",
    "plugin-invalid": "Use a release of the plugin that is made for this one of Cordbox.",
    "plugin-missing": "Switch on a plugin that provides the adapter, such as `embedded`.",
    "plugin-unknown": "Install the plugin, or correct its name in the settings.",
    "settings-invalid": "Correct the setting that the message names; see the page of settings.",
    "worker-not-wanted": "Start a kind that the running host has in its settings `workers`.",
    "worker-start": "See the worker's log; correct the cause and start the host again.",
    # HTTPS
    "tls-certificate-expired": "Renew the certificate; the host takes new files up by itself.",
    "tls-certificate-not-yet-valid": "Set the machine's clock, or wait until it is valid.",
    "tls-file-unreadable": _CERTIFICATE,
    "tls-files-refused": _CERTIFICATE,
    "tls-key-encrypted": "Decrypt the key, for example with `openssl pkey`, readable by the host"
    " alone.",
    "tls-key-mismatch": _CERTIFICATE,
    # Between workers
    "claim-lost": "Nothing: the process that has the work goes on with it.",
    "fenced": "Nothing: the worker that has the partition goes on with it.",
    "rpc-call-invalid": "Run the same release in all workers.",
    "rpc-frame-too-large": "Send less at once.",
}
"""Code -> remedy. The first line of the class's docstring is the cause."""
