#!/bin/sh
# Written by Puppet: changes do not last.
# The image has no database: make an empty one at the first start, with root by the socket alone.
set -eu
data=/var/lib/mysql
[ ! -d "$data/mysql" ] || exit 0

fresh=$(mktemp -d /var/lib/.mysql-XXXXXX)
chown mysql:mysql "$fresh"
mariadb-install-db --user=mysql --datadir="$fresh" --auth-root-authentication-method=socket --auth-root-socket-user=root \
  --skip-test-db >/dev/null
# Moved when complete, so that an interrupted one is not taken for a database.
rm -rf "$data"
mv "$fresh" "$data"
chmod 0755 "$data"
