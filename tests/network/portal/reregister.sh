# A member registers again, with a custom property.
# Given: MGM_NAME, MEMBER_NAME.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MGM_NAME.env"
. "$WORK_DIR/$MEMBER_NAME.env"

curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/members/$HOLDING_ID?O=$MEMBER_NAME >/dev/null
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/membership/$HOLDING_ID/$REGISTRATION_ID >/dev/null
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/key/$HOLDING_ID >/dev/null
serial=$(entry $HOLDING_ID $MEMBER_NAME mgmContext corda.serial)

export REGISTRATION_CONTEXT='{
  "corda.session.keys.0.id": "'$SESSION_KEY_ID'",
  "corda.session.keys.0.signature.spec": "SHA256withECDSA",
  "corda.ledger.keys.0.id": "'$LEDGER_KEY_ID'",
  "corda.ledger.keys.0.signature.spec": "SHA256withECDSA",
  "corda.endpoints.0.connectionURL": "https://'$P2P_GATEWAY_HOST':'$P2P_GATEWAY_PORT'",
  "corda.endpoints.0.protocolVersion": "1",
  "ext.sample": "apple",
  "corda.serial": "'$serial'"
}'
register
registered

tries=0
until [ "$(entry $HOLDING_ID $MEMBER_NAME mgmContext corda.serial)" = $((serial + 1)) ]; do
  tries=$((tries + 1))
  [ $tries -lt 600 ] || fail "$MEMBER_NAME does not see its new information"
  sleep 0.1
done
expect "$(entry $HOLDING_ID $MEMBER_NAME memberContext ext.sample)" apple
