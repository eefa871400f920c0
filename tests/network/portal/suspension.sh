# Suspends a member and activates it again.
# Given: MGM_NAME, MEMBER_NAME.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MGM_NAME.env"
MEMBER_X500_NAME="O=$MEMBER_NAME, L=London, C=GB"

serial=$(entry $MGM_HOLDING_ID $MEMBER_NAME mgmContext corda.serial)
expect "$(status_of -X 'POST' "$REST_API_URL/mgm/$MGM_HOLDING_ID/suspend" -d '{"x500Name": "'$MEMBER_X500_NAME'", "serialNumber": "77"}')" 409
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X 'POST' "$REST_API_URL/mgm/$MGM_HOLDING_ID/suspend" -H 'Content-Type: application/json' \
 -d '{"x500Name": '\"$MEMBER_X500_NAME\"', "serialNumber": "'$serial'"}'

suspended=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD "$REST_API_URL/members/$MGM_HOLDING_ID?statuses=SUSPENDED")
expect "$(json members 0 memberContext corda.name <<<"$suspended")" "$MEMBER_X500_NAME"
expect "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD "$REST_API_URL/members/$MGM_HOLDING_ID?O=$MEMBER_NAME" | json members)" '[]'

serial=$(json members 0 mgmContext corda.serial <<<"$suspended")
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X 'POST' "$REST_API_URL/mgm/$MGM_HOLDING_ID/activate" -H 'Content-Type: application/json' \
 -d '{"x500Name": '\"$MEMBER_X500_NAME\"', "serialNumber": "'$serial'"}'
expect "$(entry $MGM_HOLDING_ID $MEMBER_NAME mgmContext corda.status)" ACTIVE
