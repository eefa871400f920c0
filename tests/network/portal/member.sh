# The fifteen steps that create a member.
# Given: MGM_NAME, MEMBER_NAME; EXTRA, entries for the context that end with a comma; STATUS, in
# which the registration is to end up (APPROVED). With NOTARY_SERVICE the member is a notary.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MGM_NAME.env"

# 1, 2: variables are given; export the group policy.
EXTRA=${EXTRA:-} STATUS=${STATUS:-APPROVED} NOTARY_SERVICE=${NOTARY_SERVICE:-}
[ -e "$WORK_DIR/$MGM_NAME.GroupPolicy.json" ] || bash "$(dirname "$0")/export-group-policy.sh"

# 3, 4: create the CPI file, once for a network; the notary's CPB is signed by a key that is trusted.
CPI_NAME=$MGM_NAME-${NOTARY_SERVICE:+notary}app
export CPI_PATH="$WORK_DIR/$CPI_NAME.cpi"
if [ ! -e "$CPI_PATH" ]; then
  "$CORDA_CLI" package create-cpi \
   --cpb "$([ -n "$NOTARY_SERVICE" ] && echo "$NOTARY_CPB" || echo "$CPB")" \
   --group-policy "$WORK_DIR/$MGM_NAME.GroupPolicy.json" \
   --cpi-name "$CPI_NAME" \
   --cpi-version "1.0.0.0-SNAPSHOT" \
   --file "$CPI_PATH" \
   --keystore "$KEYSTORE" \
   --storepass "$STOREPASS" \
   --key "$KEY_ALIAS" >/dev/null

  # 5, 6: import the code signing certificate, and upload the CPI.
  trust_signer
  upload_cpi
  keep "$CPI_NAME" CPI_CHECKSUM
fi
. "$WORK_DIR/$CPI_NAME.env"

# 7: create a virtual node.
export X500_NAME="C=GB, L=London, O=$MEMBER_NAME"
export HOLDING_ID=$(virtual_node)

# 8: generate a session initiation key pair.
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/hsm/soft/$HOLDING_ID/SESSION_INIT >/dev/null
export SESSION_KEY_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/key/$HOLDING_ID/alias/$HOLDING_ID-session/category/SESSION_INIT/scheme/CORDA.ECDSA.SECP256R1 | json id)

# 9: generate a ledger key pair, or a notary key pair.
if [ -n "$NOTARY_SERVICE" ]; then
  curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/hsm/soft/$HOLDING_ID/NOTARY >/dev/null
  export NOTARY_KEY_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/key/$HOLDING_ID/alias/$HOLDING_ID-notary/category/NOTARY/scheme/CORDA.ECDSA.SECP256R1 | json id)
else
  curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/hsm/soft/$HOLDING_ID/LEDGER >/dev/null
  export LEDGER_KEY_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/key/$HOLDING_ID/alias/$HOLDING_ID-ledger/category/LEDGER/scheme/CORDA.ECDSA.SECP256R1 | json id)
fi

# 10, 11: configure the cluster's TLS key pair, and disable revocation checks.
cluster_tls
SESSION_CERTIFICATE=
[ "$SESSION_PKI" = NoPKI ] || . "$(dirname "$0")/session-certificates.sh"

# 12: configure the virtual node as a network participant.
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT -d '{"p2pTlsCertificateChainAlias": "p2p-tls-cert", "useClusterLevelTlsCertificateAndKey": true, "sessionKeysAndCertificates": [{"sessionKeyId": "'$SESSION_KEY_ID'", '$SESSION_CERTIFICATE'"preferred": true}]}' $REST_API_URL/network/setup/$HOLDING_ID

# 13: build the registration context.
if [ -n "$NOTARY_SERVICE" ]; then
  export REGISTRATION_CONTEXT='{
    "corda.session.keys.0.id": "'$SESSION_KEY_ID'",
    "corda.session.keys.0.signature.spec": "SHA256withECDSA",
    "corda.notary.keys.0.id": "'$NOTARY_KEY_ID'",
    "corda.notary.keys.0.signature.spec": "SHA256withECDSA",
    "corda.endpoints.0.connectionURL": "https://'$P2P_GATEWAY_HOST':'$P2P_GATEWAY_PORT'",
    "corda.endpoints.0.protocolVersion": "1",
    "corda.roles.0": "notary",
    "corda.notary.service.name": "'$NOTARY_SERVICE'",
    "corda.notary.service.flow.protocol.name": "com.r3.corda.notary.plugin.nonvalidating",
    "corda.notary.service.flow.protocol.version.0": "1"
  }'
else
  export REGISTRATION_CONTEXT='{
    '$EXTRA'
    "corda.session.keys.0.id": "'$SESSION_KEY_ID'",
    "corda.session.keys.0.signature.spec": "SHA256withECDSA",
    "corda.ledger.keys.0.id": "'$LEDGER_KEY_ID'",
    "corda.ledger.keys.0.signature.spec": "SHA256withECDSA",
    "corda.endpoints.0.connectionURL": "https://'$P2P_GATEWAY_HOST':'$P2P_GATEWAY_PORT'",
    "corda.endpoints.0.protocolVersion": "1"
  }'
fi

# 14: register the member.
register

# 15: confirm the registration.
registered "$STATUS"
keep "$MEMBER_NAME" HOLDING_ID SESSION_KEY_ID LEDGER_KEY_ID REGISTRATION_ID
[ "$STATUS" != APPROVED ] || awaited_members "$HOLDING_ID" "$MEMBER_NAME"
