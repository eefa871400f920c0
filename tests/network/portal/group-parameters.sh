# Replaces the custom group parameters; a member gets them.
# Given: MGM_NAME, MEMBER_NAME.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MGM_NAME.env"
. "$WORK_DIR/$MEMBER_NAME.env"

before=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/members/$MGM_HOLDING_ID/group-parameters | json parameters corda.epoch)
export GROUP_PARAMS_UPDATE='{"newGroupParameters":{"corda.minimum.platform.version": "50000", "ext.group.key.0": "value0", "ext.group.key.1": "value1"}}'
answer=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -d "$GROUP_PARAMS_UPDATE" $REST_API_URL/mgm/$MGM_HOLDING_ID/group-parameters)
expect "$(json parameters ext.group.key.1 <<<"$answer")" value1
expect "$(json parameters corda.epoch <<<"$answer")" "$((before + 1))"
expect "$(status_of -d '{"newGroupParameters":{"corda.epoch": "9"}}' $REST_API_URL/mgm/$MGM_HOLDING_ID/group-parameters)" 400

tries=0
until [ "$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/members/$HOLDING_ID/group-parameters | json parameters corda.epoch)" = $((before + 1)) ]; do
  tries=$((tries + 1))
  [ $tries -lt 600 ] || fail "$MEMBER_NAME has not got the new parameters"
  sleep 0.1
done
