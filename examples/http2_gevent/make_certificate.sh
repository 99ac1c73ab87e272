#!/bin/sh
# A certificate for localhost that is its own authority, for a week. Usage: ./make_certificate.sh [DIRECTORY]
set -eu
directory=${1:-certificates}
mkdir -p "$directory"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 7 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$directory/localhost.key" -out "$directory/localhost.crt" 2>/dev/null
chmod 600 "$directory/localhost.key"
echo "$directory/localhost.crt"
