#!/bin/sh
# Send one signed request to `lumyn serve`, with nothing but curl and openssl:
#
#     GATE_SECRET=... sh signed.sh POST /v0/decide refund_trusted.json
#     GATE_SECRET=... sh signed.sh GET '/v0/decisions?limit=5'
#
# GATE_URL says where the service is; http://127.0.0.1:8350 when it is not set. Exits 22 when the service refuses.
set -eu

method=$1
target=$2
file=${3:-}
timestamp=$(date +%s)
request_id=$(openssl rand -hex 16)
digest=$(openssl dgst -sha256 -r "${file:-/dev/null}" | cut -d ' ' -f 1)
signature=$(
    printf 'lumyn.v1\n%s\n%s\n%s\n%s\n%s' "$method" "$target" "$timestamp" "$request_id" "$digest" |
        openssl dgst -sha256 -hmac "$GATE_SECRET" -r | cut -d ' ' -f 1
)

if [ -n "$file" ]; then
    set -- --header 'Content-Type: application/json' --data-binary "@$file"
else
    set --
fi
exec curl --silent --show-error --fail-with-body --path-as-is --request "$method" "$@" \
    --header "Lumyn-Timestamp: $timestamp" \
    --header "Lumyn-Request-Id: $request_id" \
    --header "Lumyn-Signature: v1=$signature" \
    "${GATE_URL:-http://127.0.0.1:8350}$target"
