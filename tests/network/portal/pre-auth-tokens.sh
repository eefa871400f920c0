# Pre-auth tokens and their rules: create, view, revoke; a member registers with one.
# Given: MGM_NAME. Adds the member $MGM_NAME-Trusted.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MGM_NAME.env"

# Everybody is approved by hand, but who has a token and changes nothing of its own.
RULE_PARAMS='{"ruleParams":{"ruleRegex": "corda.*", "ruleLabel": "Review all"}}'
RULE_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -d "$RULE_PARAMS" $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules | json ruleId)
RULE_PARAMS='{"ruleParams":{"ruleRegex": "ext.*", "ruleLabel": "Review custom properties"}}'
PREAUTH_RULE_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -d "$RULE_PARAMS" $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules/preauth | json ruleId)
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules/preauth | json 0 ruleId)" "$PREAUTH_RULE_ID"

TOKEN_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST -d '{"ownerX500Name": "O='$MGM_NAME'-Trusted, L=London, C=GB", "ttl": "P4D", "remarks": "known to us"}' $REST_API_URL/mgm/$MGM_HOLDING_ID/preauthtoken | json id)
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD $REST_API_URL/mgm/$MGM_HOLDING_ID/preauthtoken | json 0 status)" AVAILABLE
OWNER_X500="O%3D$MGM_NAME-Trusted%2C%20L%3DLondon%2C%20C%3DGB"

MEMBER_NAME=$MGM_NAME-Trusted EXTRA='"corda.auth.token": "'$TOKEN_ID'",' bash "$(dirname "$0")/member.sh"
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD "$REST_API_URL/mgm/$MGM_HOLDING_ID/preauthtoken?viewInactive=true&preAuthTokenId=$TOKEN_ID&ownerX500Name=$OWNER_X500" | json 0 status)" CONSUMED
expect "$(status_of -X PUT $REST_API_URL/mgm/$MGM_HOLDING_ID/preauthtoken/revoke/$TOKEN_ID)" 409

TOKEN_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST -d '{"ownerX500Name": "O=Nobody, L=London, C=GB"}' $REST_API_URL/mgm/$MGM_HOLDING_ID/preauthtoken | json id)
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT -d '{"remarks":"Additional authentication required."}' $REST_API_URL/mgm/$MGM_HOLDING_ID/preauthtoken/revoke/$TOKEN_ID | json status)" REVOKED
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD $REST_API_URL/mgm/$MGM_HOLDING_ID/preauthtoken)" '[]'

curl -k -u $REST_API_USER:$REST_API_PASSWORD -X DELETE $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules/preauth/$PREAUTH_RULE_ID
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X DELETE $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules/$RULE_ID
