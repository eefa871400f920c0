# The group policy of the MGM, from which CPIs of its members are made.
# Given: MGM_NAME. Writes $WORK_DIR/$MGM_NAME.GroupPolicy.json.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MGM_NAME.env"

curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/mgm/$MGM_HOLDING_ID/info > "$WORK_DIR/$MGM_NAME.GroupPolicy.json"

expect "$(json mgmInfo corda.name <"$WORK_DIR/$MGM_NAME.GroupPolicy.json")" "O=$MGM_NAME, L=London, C=GB"
expect "$(json p2pParameters sessionPki <"$WORK_DIR/$MGM_NAME.GroupPolicy.json")" "$SESSION_PKI"
