# What the scripts of this folder share; each is Corda's documented steps, with curl as printed.
#
# Given by the caller: REST_API_HOST, REST_API_PORT, REST_API_USER, REST_API_PASSWORD,
# P2P_GATEWAY_HOST, P2P_GATEWAY_PORT; WORK_DIR, an existing folder; CORDA_CLI, a program with the
# options of corda-cli; CA_DIR, a folder with `root-certificate.pem` and `root-key.pem`; KEYSTORE,
# STOREPASS and KEY_ALIAS of the code signer; CPB and NOTARY_CPB.
# What a step finds out is kept in $WORK_DIR/<name>.env for the scripts that follow.

set -euo pipefail
IFS= # The documentation does not quote its variables: names with spaces are one word.

export REST_API_URL="https://$REST_API_HOST:$REST_API_PORT/api/v5_2"

# As a reader's curl, but an error's status ends the script.
curl() { command curl --fail-with-body -s -S "$@"; }

# The status that a request is answered with, and nothing else: for what must be refused.
status_of() { command curl -s -o /dev/null -w '%{http_code}' -k -u "$REST_API_USER:$REST_API_PASSWORD" "$@"; }

# A value in the JSON that is read, by the keys and numbers that lead to it.
json() {
  "$PYTHON" -c '
import json, sys
found = json.load(sys.stdin)
for key in sys.argv[1:]:
    found = found[int(key)] if isinstance(found, list) else found[key]
print(found if isinstance(found, str) else json.dumps(found))' "$@"
}

# Asks PATH until the member MEMBER has one of the values.
awaited() {
  local path=$1 member=$2 tries=0 answer found
  shift 2
  while true; do
    answer=$(curl -k -u "$REST_API_USER:$REST_API_PASSWORD" -X GET "$REST_API_URL/$path")
    found=$(json "$member" <<<"$answer")
    for wanted in "$@"; do
      [ "$found" != "$wanted" ] || { printf '%s\n' "$answer"; return; }
    done
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail "$path: $member is $found, expected $*: $answer"
    sleep 0.1
  done
}

expect() { [ "$1" = "$2" ] || fail "found $1, expected $2 (${3:-})"; }

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Keeps variables in $WORK_DIR/<name>.env.
keep() {
  local name=$1 variable
  shift
  for variable in "$@"; do
    printf 'export %s=%q\n' "$variable" "${!variable}"
  done >>"$WORK_DIR/$name.env"
}

# What a CA does with a certificate signing request.
certify() {
  openssl x509 -req -in "$1" -out "$2" -days 300 -copy_extensions copy \
    -CA "$CA_DIR/root-certificate.pem" -CAkey "$CA_DIR/root-key.pem" 2>/dev/null
}

# Uploads a CPI; sets CPI_CHECKSUM.
upload_cpi() {
  CPI_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -F upload=@$CPI_PATH $REST_API_URL/cpi/ | json id)
  CPI_CHECKSUM=$(awaited cpi/status/$CPI_ID status OK | json cpiFileChecksum)
}

# Trusts the code signer, once for a cluster.
trust_signer() {
  [ ! -e "$WORK_DIR/signingkey1.pem" ] || return 0
  keytool -exportcert -rfc -alias "$KEY_ALIAS" -keystore "$KEYSTORE" -storepass "$STOREPASS" -file "$WORK_DIR/signingkey1.pem" 2>/dev/null
  curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT -F alias="signingkey1-2026" -F certificate=@$WORK_DIR/signingkey1.pem $REST_API_URL/certificate/cluster/code-signer
}

# Makes a TLS key and certificate, and switches revocation off, once for a cluster.
cluster_tls() {
  [ ! -e "$WORK_DIR/certificate.pem" ] || return 0
  TLS_KEY_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST -H "Content-Type: application/json" $REST_API_URL/key/p2p/alias/p2p-TLS/category/TLS/scheme/CORDA.RSA | json id)
  curl -k -u $REST_API_USER:$REST_API_PASSWORD  -X POST -H "Content-Type: application/json" -d '{"x500Name": "CN=CordaOperator, C=GB, L=London, O=Org", "subjectAlternativeNames": ["'$P2P_GATEWAY_HOST'"]}' $REST_API_URL"/certificate/p2p/"$TLS_KEY_ID > "$WORK_DIR"/request1.csr
  openssl req -text -noout -verify -in "$WORK_DIR"/request1.csr >/dev/null 2>&1
  certify "$WORK_DIR/request1.csr" "$WORK_DIR/certificate.pem"
  curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT  -F certificate=@$WORK_DIR/certificate.pem -F alias=p2p-tls-cert $REST_API_URL/certificate/cluster/p2p-tls
  export CONFIG_VERSION=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/config/corda.p2p.gateway | json version)
  curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT -d '{"section":"corda.p2p.gateway", "version":"'$CONFIG_VERSION'", "config":"{ \"sslConfig\": { \"revocationCheck\": { \"mode\": \"OFF\" }  }  }", "schemaVersion": {"major": 1, "minor": 0}}' $REST_API_URL"/config" >/dev/null
}

# Creates a virtual node of X500_NAME with CPI_CHECKSUM; prints its short hash.
virtual_node() {
  local request
  request=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -d '{"request": {"cpiFileChecksum": "'$CPI_CHECKSUM'", "x500Name": "'$X500_NAME'"}}' $REST_API_URL/virtualnode | json requestId)
  awaited virtualnode/status/$request status SUCCEEDED FAILED ABORTED | json resourceId
}

# Registers HOLDING_ID with REGISTRATION_CONTEXT; sets REGISTRATION_ID.
register() {
  local answer
  answer=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -d '{ "memberRegistrationRequest": { "context": '$REGISTRATION_CONTEXT' } }' $REST_API_URL/membership/$HOLDING_ID)
  expect "$(json registrationStatus <<<"$answer")" SUBMITTED "$answer"
  REGISTRATION_ID=$(json registrationId <<<"$answer")
}

# Waits until the registration is in the status.
registered() { awaited membership/$HOLDING_ID/$REGISTRATION_ID registrationStatus "${1:-APPROVED}" >/dev/null; }

# The entry KEY of the context of the member ORGANISATION, as VIEWER sees it; STATUSES: a query.
entry() {
  curl -k -u $REST_API_USER:$REST_API_PASSWORD "$REST_API_URL/members/$1?O=$2${5:-}" | json members 0 "$3" "$4"
}

# Waits until VIEWER sees the member ORGANISATION.
awaited_members() {
  local tries=0
  until [ "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/members/$1?O=$2 | json members)" != "[]" ]; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail "$1 does not see $2"
    sleep 0.1
  done
}
