#!/bin/sh
# Written by Puppet: changes do not last.
# authorized-keys USER: the keys that EC2 Instance Connect holds for that user at this moment, for sshd.
# They live for 60 s; the metadata service is this machine's own and only reachable from it.
set -eu

case ${1:-} in '' | *[!a-z0-9_-]*) exit 0 ;; esac
base=http://169.254.169.254/latest
ask() { curl --silent --fail --noproxy '*' --connect-timeout 2 --max-time 4 "$@"; }

token=$(ask --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$base/api/token") || exit 0
keys=$(ask --header "X-aws-ec2-metadata-token: $token" "$base/meta-data/managed-ssh-keys/active-keys/$1") || exit 0

# Each key comes with '#Name=value' lines before it and a signature after it.
now=$(date +%s)
expired=
printf '%s\n' "$keys" | while IFS= read -r line; do
  case $line in
    '#Timestamp='*)
      expired=
      limit=${line#*=}
      case $limit in '' | *[!0-9]*) ;; *) [ "$limit" -ge "$now" ] || expired=yes ;; esac
      ;;
    ssh-* | ecdsa-* | sk-*) [ -n "$expired" ] || printf '%s\n' "$line" ;;
  esac
done
