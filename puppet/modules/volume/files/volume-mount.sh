#!/bin/sh
# Written by Puppet: changes do not last.
# volume-mount DEVICE FOLDER LABEL SECONDS
#
# Waits for a volume, and mounts it. It gets a file system only when there is nothing on it that anybody could know: no
# signature of a file system, of a partition table or of anything else. What has another label is somebody else's.
set -eu

device=$1 folder=$2 label=$3 seconds=$4

fail() {
  echo "volume-mount: $1" >&2
  exit 1
}

waited=0
until [ -b "$device" ]; do
  # It is attached once the machine runs, which is while this waits.
  [ "$waited" -lt "$((seconds * 2))" ] || fail "$device has not come in $seconds s: is the volume attached to this instance?"
  waited=$((waited + 1))
  sleep 0.5
done

if mountpoint -q "$folder"; then
  [ "$(mountpoint -d "$folder")" = "$(mountpoint -x "$(readlink -f "$device")")" ] ||
    fail "something else than $device is mounted at $folder"
  exit 0
fi

signatures=$(wipefs --noheadings --output TYPE "$device") || fail "$device cannot be read"
known=0
blkid --probe "$device" >/dev/null 2>&1 || known=$?
if [ -z "$signatures" ] && [ "$known" -eq 2 ]; then
  echo "volume-mount: nothing is on $device: making a file system"
  mkfs.ext4 -q -m 1 -L "$label" "$device"
fi

kind=$(blkid --probe --output value --match-tag TYPE "$device") || kind=
name=$(blkid --probe --output value --match-tag LABEL "$device") || name=
if [ "$kind" != ext4 ] || [ "$name" != "$label" ]; then
  fail "$device holds '${kind:-$signatures}' labelled '$name', not ext4 labelled '$label'; it was left as it is"
fi

checked=0
fsck.ext4 -p "$device" || checked=$?
# 1: errors were corrected.
[ "$checked" -le 1 ] || fail "$device needs a person to repair it: fsck.ext4 ended with code $checked"

mkdir -p "$folder"
mount -t ext4 -o nodev,nosuid,noatime "$device" "$folder"
