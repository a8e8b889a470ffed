#!/bin/sh
# Written by Puppet: changes do not last.
# mariadb-upgrade FOLDER: after the server of a newer image has started on data that an older one made.
set -eu
mark=$1/data/.made-by
now=$(mariadbd --version)
[ "$(cat "$mark" 2>/dev/null || true)" != "$now" ] || exit 0
mariadb-upgrade --protocol=socket --silent
echo "$now" >"$mark"
