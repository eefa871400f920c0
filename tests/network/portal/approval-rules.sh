# Rules of manual approval: add, view, review, approve, decline, delete.
# Given: MGM_NAME. Adds the members $MGM_NAME-Reviewed and $MGM_NAME-Declined.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MGM_NAME.env"

RULE_PARAMS='{"ruleParams":{"ruleRegex": "corda.*", "ruleLabel": "Review all changes to keys in the Corda namespace"}}'
RULE_ID=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -d "$RULE_PARAMS" $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules | json ruleId)
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules | json 0 ruleId)" "$RULE_ID"
expect "$(status_of -d "$RULE_PARAMS" $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules)" 409

for outcome in Reviewed Declined; do
  MEMBER_NAME=$MGM_NAME-$outcome STATUS=PENDING_MANUAL_APPROVAL bash "$(dirname "$0")/member.sh"
  . "$WORK_DIR/$MGM_NAME-$outcome.env"
  request=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD "$REST_API_URL/mgm/$MGM_HOLDING_ID/registrations?requestsubjectx500name=C%3DGB%2C%20L%3DLondon%2C%20O%3D$MGM_NAME-$outcome")
  expect "$(json 0 registrationId <<<"$request")" "$REGISTRATION_ID"
  expect "$(json 0 registrationStatus <<<"$request")" PENDING_MANUAL_APPROVAL
  if [ $outcome = Reviewed ]; then
    curl -k -u $REST_API_USER:$REST_API_PASSWORD -X POST $REST_API_URL/mgm/$MGM_HOLDING_ID/approve/$REGISTRATION_ID
    registered
  else
    curl -k -u $REST_API_USER:$REST_API_PASSWORD -d '{"reason": "not known to us"}' $REST_API_URL/mgm/$MGM_HOLDING_ID/decline/$REGISTRATION_ID
    registered DECLINED
  fi
done
expect "$(status_of -X POST $REST_API_URL/mgm/$MGM_HOLDING_ID/approve/$REGISTRATION_ID)" 400
expect "$(status_of -X POST $REST_API_URL/mgmadmin/$MGM_HOLDING_ID/force-decline/$REGISTRATION_ID)" 400
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD $REST_API_URL/mgm/$MGM_HOLDING_ID/registrations)" '[]'
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD "$REST_API_URL/mgm/$MGM_HOLDING_ID/registrations?requestsubjectx500name=C%3DGB%2C%20L%3DLondon%2C%20O%3D$MGM_NAME-Declined&viewhistoric=true" | json 0 registrationStatus)" DECLINED

curl -k -u $REST_API_USER:$REST_API_PASSWORD -X DELETE $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules/$RULE_ID
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD $REST_API_URL/mgm/$MGM_HOLDING_ID/approval/rules)" '[]'
