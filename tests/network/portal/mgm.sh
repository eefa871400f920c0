# The fifteen steps that create an MGM, from its CPI to its network setup.
# Given: MGM_NAME, its organisation; SESSION_PKI (NoPKI, Standard) and TLS_TYPE (OneWay, Mutual).
. "$(dirname "$0")/common.sh"

# 1, 2: variables are given, and the CA is chosen.
SESSION_PKI=${SESSION_PKI:-NoPKI} TLS_TYPE=${TLS_TYPE:-OneWay}

# 3: create the group policy file.
echo '{
  "fileFormatVersion" : 1,
  "groupId" : "CREATE_ID",
  "registrationProtocol" :"net.corda.membership.impl.registration.dynamic.mgm.MGMRegistrationService",
  "synchronisationProtocol": "net.corda.membership.impl.synchronisation.MgmSynchronisationServiceImpl"
}' > "$WORK_DIR"/GroupPolicy.json

# 4: create the CPI file.
"$CORDA_CLI" package create-cpi \
 --group-policy "$WORK_DIR/GroupPolicy.json" \
 --cpi-name "$MGM_NAME" \
 --cpi-version "1.0.0.0-SNAPSHOT" \
 --file "$WORK_DIR/$MGM_NAME-1.0.0.0-SNAPSHOT.cpi" \
 --keystore "$KEYSTORE" \
 --storepass "$STOREPASS" \
 --key "$KEY_ALIAS" >/dev/null

# 5: import the code signing certificate.
trust_signer

# 6: upload the CPI.
export CPI_PATH="$WORK_DIR/$MGM_NAME-1.0.0.0-SNAPSHOT.cpi"
upload_cpi

# 7: create a virtual node.
export X500_NAME="C=GB, L=London, O=$MGM_NAME"
export MGM_HOLDING_ID=$(virtual_node)

# 8: generate a session initiation key pair.
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/hsm/soft/$MGM_HOLDING_ID/SESSION_INIT >/dev/null
export SESSION_KEY_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/key/$MGM_HOLDING_ID/alias/$MGM_HOLDING_ID-session/category/SESSION_INIT/scheme/CORDA.ECDSA.SECP256R1 | json id)

# 9: generate an ECDH key pair.
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/hsm/soft/$MGM_HOLDING_ID/PRE_AUTH >/dev/null
export ECDH_KEY_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/key/$MGM_HOLDING_ID/alias/$MGM_HOLDING_ID-auth/category/PRE_AUTH/scheme/CORDA.ECDSA.SECP256R1 | json id)

# 10, 11: configure the cluster's TLS key pair, and disable revocation checks.
cluster_tls

# 12: build the registration context.
export TLS_CA_CERT=$(cat $CA_DIR/root-certificate.pem | awk '{printf "%s\\n", $0}')
SESSION_CERTIFICATE=
SESSION_ROOT=
if [ "$SESSION_PKI" = Standard ]; then
  HOLDING_ID=$MGM_HOLDING_ID
  . "$(dirname "$0")/session-certificates.sh"
  SESSION_ROOT=',"corda.group.trustroot.session.0" : "'$TLS_CA_CERT'"'
fi
export REGISTRATION_CONTEXT='{
  "corda.session.keys.0.id": "'$SESSION_KEY_ID'",
  "corda.ecdh.key.id": "'$ECDH_KEY_ID'",
  "corda.group.protocol.registration": "net.corda.membership.impl.registration.dynamic.member.DynamicMemberRegistrationService",
  "corda.group.protocol.synchronisation": "net.corda.membership.impl.synchronisation.MemberSynchronisationServiceImpl",
  "corda.group.protocol.p2p.mode": "Authenticated_Encryption",
  "corda.group.key.session.policy": "Distinct",
  "corda.group.pki.session": "'$SESSION_PKI'",
  "corda.group.pki.tls": "Standard",
  "corda.group.tls.type": "'$TLS_TYPE'",
  "corda.group.tls.version": "1.3",
  "corda.endpoints.0.connectionURL": "https://'$P2P_GATEWAY_HOST':'$P2P_GATEWAY_PORT'",
  "corda.endpoints.0.protocolVersion": "1",
  "corda.group.trustroot.tls.0" : "'$TLS_CA_CERT'"'$SESSION_ROOT'
}'

# 13, 14: register the MGM, and confirm the registration.
HOLDING_ID=$MGM_HOLDING_ID
register
registered

# 15: configure the virtual node as a network participant.
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT -d '{"p2pTlsCertificateChainAlias": "p2p-tls-cert", "useClusterLevelTlsCertificateAndKey": true, "sessionKeysAndCertificates": [{"sessionKeyId": "'$SESSION_KEY_ID'", '$SESSION_CERTIFICATE'"preferred": true}]}' $REST_API_URL/network/setup/$MGM_HOLDING_ID

MGM_REGISTRATION_CONTEXT=$REGISTRATION_CONTEXT
keep "$MGM_NAME" MGM_HOLDING_ID SESSION_PKI MGM_REGISTRATION_CONTEXT
