#!/bin/sh
# Written by Puppet: changes do not last.
# wait-for-hdfs HOST:PORT SECONDS: until the NameNode whose pages are there takes files, or for so long.
#
# For a daemon that looks once in ten seconds itself, and is late by that much when it comes too soon. It is started in
# any case: what is wrong with HDFS is for its own log to say.
set -eu

url="http://$1/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
end=$(($(date +%s) + $2))
until curl --silent --noproxy '*' --connect-timeout 2 --max-time 4 "$url" | grep -q '"FSState" *: *"Operational"'; do
  [ "$(date +%s)" -lt "$end" ] || exit 0
  sleep 0.2
done
