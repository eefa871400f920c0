# A certificate for the session key of a node; read by mgm.sh and member.sh after they made the key.
# Given: HOLDING_ID, X500_NAME, SESSION_KEY_ID. Sets SESSION_CERTIFICATE for the network setup.

curl --fail-with-body -s -S -k -u $REST_API_USER:$REST_API_PASSWORD  -X POST -H "Content-Type: application/json" -d '{"x500Name": "'$X500_NAME'"}' $REST_API_URL"/certificate/"$HOLDING_ID/$SESSION_KEY_ID > $WORK_DIR/request.csr
certify "$WORK_DIR/request.csr" "$WORK_DIR/session-certificate.pem"
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT  -F certificate=@$WORK_DIR/session-certificate.pem -F alias=session-certificate $REST_API_URL/certificate/vnode/$HOLDING_ID/p2p-session

export CONFIG_VERSION=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/config/corda.p2p.linkManager | json version)
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT -d '{"section":"corda.p2p.linkManager", "version":"'$CONFIG_VERSION'", "config": { "revocationCheck": { "mode": "OFF" } }, "schemaVersion": {"major": 1, "minor": 0}}' $REST_API_URL"/config" >/dev/null

SESSION_CERTIFICATE='"sessionCertificateChainAlias": "session-certificate", '
