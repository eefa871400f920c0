#!/bin/sh
# Makes the secrets of compose.yaml, once: passwords, and a certificate for the database's server.
set -eu
cd "$(dirname "$0")"
[ ! -e secrets ] || { echo "secrets exist; delete the folder to make others" >&2; exit 1; }
mkdir secrets && cd secrets
for name in admin-password database-password grafana-password master-passphrase postgres-password; do
    openssl rand -hex 24 >"$name"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Cordbox trial CA" \
    -keyout ca-key.pem -out database-ca.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=postgres" \
    -keyout database-key.pem -out request.pem 2>/dev/null
printf 'subjectAltName=DNS:postgres\n' >extensions
openssl x509 -req -in request.pem -CA database-ca.pem -CAkey ca-key.pem -CAcreateserial -days 3650 \
    -extfile extensions -out database-certificate.pem 2>/dev/null
rm ca-key.pem request.pem extensions ./*.srl
# Containers read them under users of their own: the folder keeps others of this machine out.
chmod 0644 ./*
chmod 0711 .
chmod 0700 ..
echo "made deploy/compose/secrets"
