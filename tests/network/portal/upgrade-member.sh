# A member gets another version of its CPI; the platform registers it again.
# Given: MGM_NAME, MEMBER_NAME.
. "$(dirname "$0")/common.sh"
. "$WORK_DIR/$MGM_NAME.env"
. "$WORK_DIR/$MEMBER_NAME.env"
version=1.0.0.1-SNAPSHOT

# 1, 2: export the group policy, and create a CPI of the same name and a newer version.
bash "$(dirname "$0")/export-group-policy.sh"
export CPI_PATH="$WORK_DIR/$MGM_NAME-app-$version.cpi"
"$CORDA_CLI" package create-cpi \
 --cpb "$CPB" \
 --group-policy "$WORK_DIR/$MGM_NAME.GroupPolicy.json" \
 --cpi-name "$MGM_NAME-app" \
 --cpi-version "$version" \
 --file "$CPI_PATH" \
 --keystore "$KEYSTORE" \
 --storepass "$STOREPASS" \
 --key "$KEY_ALIAS" >/dev/null

# 3: upload it.
upload_cpi

# 4, 5, 6: maintenance, upgrade, active again.
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT $REST_API_URL/virtualnode/$HOLDING_ID/state/MAINTENANCE >/dev/null
request=$(curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT $REST_API_URL/virtualnode/$HOLDING_ID/cpi/$CPI_CHECKSUM | json requestId)
awaited virtualnode/status/$request status SUCCEEDED >/dev/null
curl -k -u $REST_API_USER:$REST_API_PASSWORD -X PUT $REST_API_URL/virtualnode/$HOLDING_ID/state/ACTIVE >/dev/null

# 7: the member list has the new version, on the member and on the MGM.
for viewer in $HOLDING_ID $MGM_HOLDING_ID; do
  tries=0
  until [ "$(entry $viewer $MEMBER_NAME memberContext corda.cpi.version)" = $version ]; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail "$viewer does not see the new version of $MEMBER_NAME"
    sleep 0.1
  done
done
