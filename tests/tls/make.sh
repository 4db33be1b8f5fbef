#!/bin/sh
# Makes the certificates of the tests anew, valid for a hundred years: an authority, two certificates for localhost as before and
# after a renewal, one that has expired, and one for another host.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl ecparam -name prime256v1 -genkey -noout -out "$work/authority.key"
openssl req -x509 -new -key "$work/authority.key" -subj "/CN=An authority for tests of the listener" -days 36500 -out authority.pem
touch "$work/index"
cat > "$work/ca.cnf" <<CNF
[ca]
default_ca = ca
[ca]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
CNF
# name, key, subject, subjectAltName, first day, last day
issue() {
    [ -f "$2.key" ] || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$2.key"
    openssl req -new -key "$2.key" -subj "/CN=$3" -out "$work/request"
    printf 'subjectAltName=%s\nbasicConstraints=critical,CA:false\nextendedKeyUsage=serverAuth\n' "$4" > "$work/extensions"
    openssl ca -batch -notext -config "$work/ca.cnf" -cert authority.pem -keyfile "$work/authority.key" \
        -in "$work/request" -extfile "$work/extensions" -startdate "$5" -enddate "$6" -out "$1.pem"
}
rm -f ./*.key
issue first first localhost DNS:localhost,IP:127.0.0.1,IP:::1 20260101000000Z 21260101000000Z
issue second second localhost DNS:localhost,IP:127.0.0.1,IP:::1 20260101000000Z 21260101000000Z
issue expired first localhost DNS:localhost,IP:127.0.0.1,IP:::1 20250101000000Z 20250401000000Z
issue elsewhere first gw9.example.com DNS:gw9.example.com 20260101000000Z 21260101000000Z
