#!/bin/sh
# Written by Puppet: changes do not last.
# resourcemanager-authority STORE: the certificate authority of a new ResourceManager, in its store of states.
#
# It makes one when its store has none, in Java, which takes many seconds of a small machine, before it takes in a node.
# OpenSSL makes the same (RSA of 2048 bits, for no further authority) in a tenth of one. What it cannot use it replaces,
# and what is not there it makes: without OpenSSL the start is slow, no failure.
set -eu
umask 077

folder=$1/FSRMStateRoot/ProxyCARoot
[ ! -e "$folder/caPrivateKey" ] || exit 0

for part in "$1" "$1/FSRMStateRoot" "$folder"; do
  [ -d "$part" ] || install -d -o yarn -g hadoop -m 0755 "$part"
done
rm -rf "$folder"/.fresh-*
fresh=$(mktemp -d "$folder/.fresh-XXXXXX")
trap 'rm -rf "$fresh"' EXIT
cat >"$fresh/request" <<CONF
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
OU = YARN-$(cat /proc/sys/kernel/random/uuid)
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
CONF
if ! { openssl req -x509 -sha512 -newkey rsa:2048 -noenc -days 4000 -config "$fresh/request" \
  -keyout "$fresh/key" -outform DER -out "$fresh/caCert" 2>"$fresh/said" &&
  openssl pkcs8 -topk8 -nocrypt -in "$fresh/key" -outform DER -out "$fresh/caPrivateKey"; }; then
  echo "OpenSSL makes no authority: $(cat "$fresh/said")" >&2
  exit 0
fi
chown yarn:hadoop "$fresh/caCert" "$fresh/caPrivateKey"
mv "$fresh/caCert" "$folder/caCert"
mv "$fresh/caPrivateKey" "$folder/caPrivateKey"
