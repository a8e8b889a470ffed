#!/bin/sh
# Written by Puppet: changes do not last.
# namenode-format DIRECTORY: an empty file system there, unless there is one already.
#
# The image holds a formatted directory, so that a new one is a copy with identifiers of its own: the NameNode need not
# start twice. DataNodes of another cluster are refused, since they compare the identifiers.
set -eu

template=/opt/hadoop/namenode
target=$1
[ ! -e "$target/current/VERSION" ] || exit 0

number() { od -An -N4 -tu4 /dev/urandom | awk '{print 1 + $1 % 2147483646}'; }

fresh=$(mktemp -d "${target%/*}/.namenode-XXXXXX")
cp -r "$template/." "$fresh/"
address=$(hostname -I | awk '{print $1}')
{
  grep -Ev '^(namespaceID|clusterID|blockpoolID|cTime)=' "$template/current/VERSION"
  echo "namespaceID=$(number)"
  echo "clusterID=CID-$(cat /proc/sys/kernel/random/uuid)"
  echo "blockpoolID=BP-$(number)-$address-$(date +%s%3N)"
  echo "cTime=$(date +%s%3N)"
} >"$fresh/current/VERSION"
chown -R hdfs:hadoop "$fresh"
chmod 0700 "$fresh"
rm -rf "$target"
mv "$fresh" "$target"
