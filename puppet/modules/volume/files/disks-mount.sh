#!/bin/sh
# Written by Puppet: changes do not last.
# disks-mount COUNT PATH LABEL SECONDS: mount the volumes that this machine was launched with at PATH0, PATH1 and so on.
#
# Their order is kept from the first time on, so that no folder changes its disk when another volume is attached later.
set -eu

count=$1 path=$2 label=$3 seconds=$4
order=/var/lib/hcluster/disks

# By their serial numbers; partitions and other names of the same device have more behind it.
volumes() {
  root=$(findmnt --noheadings --output SOURCE /)
  for link in /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol*; do
    case ${link##*_vol} in *[!0-9a-f]*) continue ;; esac
    [ -b "$link" ] || continue
    # /dev/nvme0n1p1 is on /dev/nvme0n1.
    case $root in "$(readlink -f "$link")"*) continue ;; esac
    echo "$link"
  done
}

if [ ! -s "$order" ]; then
  waited=0
  until [ "$(volumes | wc -l)" -ge "$count" ]; do
    if [ "$waited" -ge "$((seconds * 2))" ]; then
      echo "disks-mount: $(volumes | wc -l) of $count volumes after $seconds s" >&2
      exit 1
    fi
    waited=$((waited + 1))
    sleep 0.5
  done
  volumes | head -n "$count" >"$order.new"
  mv "$order.new" "$order"
fi

number=0
while read -r device; do
  /usr/local/lib/hcluster/volume-mount "$device" "$path$number" "$label" "$seconds"
  number=$((number + 1))
done <"$order"
