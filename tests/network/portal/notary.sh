# A notary: its CPI of the notary CPB, a notary key pair, and the role in its registration context.
# Given: MGM_NAME, MEMBER_NAME, NOTARY_SERVICE, the X.500 name of the service.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MGM_NAME.env"

LEDGER_KEY_ID= bash "$(dirname "$0")/member.sh"

. "$WORK_DIR/$MEMBER_NAME.env"
parameters=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X GET $REST_API_URL/members/$HOLDING_ID/group-parameters)
expect "$(json parameters corda.notary.service.0.name <<<"$parameters")" "$NOTARY_SERVICE"
expect "$(json parameters corda.notary.service.0.flow.protocol.name <<<"$parameters")" com.r3.corda.notary.plugin.nonvalidating
