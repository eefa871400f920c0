# An MGM registers again, with a further endpoint.
# Given: MGM_NAME; MEMBER_NAME, who is to see it.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MEMBER_NAME.env"
MEMBER_HOLDING_ID=$HOLDING_ID
. "$WORK_DIR/$MGM_NAME.env"
HOLDING_ID=$MGM_HOLDING_ID
url="https://localhost:$P2P_GATEWAY_PORT"

# 1: retrieve the serial number that the MGM has now.
serial=$(entry $MGM_HOLDING_ID $MGM_NAME mgmContext corda.serial)

# 2: what is refused: another serial number, and a change of what members rely on.
for context in \
  "${MGM_REGISTRATION_CONTEXT/\}*/,\"corda.serial\": \"$((serial + 7))\"\}}" \
  "${MGM_REGISTRATION_CONTEXT/Authenticated_Encryption/Authentication}"; do
  answer=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -d '{ "memberRegistrationRequest": { "context": '$context' } }' $REST_API_URL/membership/$HOLDING_ID)
  expect "$(json registrationStatus <<<"$answer")" NOT_SUBMITTED "$answer"
done

# 3, 4: update the registration context, and register.
export REGISTRATION_CONTEXT=${MGM_REGISTRATION_CONTEXT/\}*/,
  \"corda.endpoints.1.connectionURL\": \"$url\",
  \"corda.endpoints.1.protocolVersion\": \"1\",
  \"corda.serial\": \"$serial\"
\}}
register
registered

# 5: members see it, and the group policy has it for those who come.
tries=0
until [ "$(entry $MEMBER_HOLDING_ID $MGM_NAME mgmContext corda.serial)" = $((serial + 1)) ]; do
  tries=$((tries + 1))
  [ $tries -lt 600 ] || fail "$MEMBER_NAME does not see the new information of $MGM_NAME"
  sleep 0.1
done
expect "$(entry $MEMBER_HOLDING_ID $MGM_NAME memberContext corda.endpoints.1.connectionURL)" "$url"
bash "$(dirname "$0")/export-group-policy.sh"
expect "$(json mgmInfo corda.endpoints.1.connectionURL <"$WORK_DIR/$MGM_NAME.GroupPolicy.json")" "$url"
