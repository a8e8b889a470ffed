#!/bin/sh
# Written by Puppet: changes do not last.
# watch SECONDS: ask the metadata service every few seconds what this node is told to be; when that is something else than
# it was told last, let it be applied. No call of AWS, and no interpreter that starts for nothing.
set -eu

seconds=$1
base=http://169.254.169.254/latest
last=/var/lib/hcluster/told
ask() { curl --silent --fail --noproxy '*' --connect-timeout 2 --max-time 4 "$@"; }

token=
while sleep "$seconds"; do
  [ -n "$token" ] ||
    token=$(ask --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$base/api/token") || continue
  # Without an answer the token has expired, or there is no such tag for this node.
  told=$(ask --header "X-aws-ec2-metadata-token: $token" "$base/meta-data/tags/instance/hcluster:told") || {
    token=
    continue
  }
  case $told in '' | *[!0-9a-f-]*) continue ;; esac
  read -r before <"$last" || before=
  [ "$told" != "$before" ] || continue
  # It notes what it was told when it has answered. If it cannot, it is tried again, and not at once.
  systemctl start hcluster-converge.service || sleep 30
done
