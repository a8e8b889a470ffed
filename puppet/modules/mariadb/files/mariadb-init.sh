#!/bin/sh
# Written by Puppet: changes do not last.
# mariadb-init FOLDER: make an empty database in FOLDER/data when there is none, with root by the socket alone.
#
# FOLDER may be a volume with the only copy of somebody's tables: what is there is never removed.
set -eu
folder=$1
data=$folder/data
[ ! -d "$data/mysql" ] || exit 0

if [ -d "$data" ] && [ -n "$(ls -A "$data")" ]; then
  echo "mariadb-init: $data holds files but no database 'mysql'" >&2
  echo 'mariadb-init: nothing was changed; look at them, and restore a dump if they are of no use' >&2
  exit 1
fi

# The unit's umask would keep the server out.
install -d -m 0755 "$folder"
# What an interrupted one has left: never moved to its place, thus never used.
rm -rf "$folder"/.fresh-*
fresh=$(mktemp -d "$folder/.fresh-XXXXXX")
chown mysql:mysql "$fresh"
mariadb-install-db --user=mysql --datadir="$fresh" --auth-root-authentication-method=socket --auth-root-socket-user=root \
  --skip-test-db >/dev/null
mariadbd --version >"$fresh/.made-by"
# Moved when complete, so that an interrupted one is not taken for a database. mv replaces an empty folder.
[ ! -d "$data" ] || rmdir "$data"
mv -T "$fresh" "$data"
chmod 0750 "$data"
sync
