#!/bin/bash
# Run every role once, note which classes its JVMs load, and dump them into archives, which later JVMs map into memory instead
# of loading each class anew. 50-validate.sh starts the same daemons with these archives and removes what both have left.
set -Eeuo pipefail

release=/var/cache/hcluster/puppet
places=(/etc /opt/hcluster /var/lib /var/log /var/cache /usr/local /root /srv)
# Bound from outside in a container, thus not ours to write; the version file tells of the archives.
kept=(--exclude=etc/hosts --exclude=etc/hostname --exclude=etc/resolv.conf --exclude=etc/hcluster/image.json)
state=/var/tmp/hcluster-validate
lists=$state/classes

explain() {
    local code=$? unit
    for unit in $(systemctl list-units --state=failed,auto-restart --plain --no-legend | awk '{print $1}'); do
        echo "$unit does not run:" >&2
        journalctl --no-pager --output cat --lines 8 --unit "$unit" >&2 || true
    done
    tail --quiet --lines 8 "$state"/*.log >&2 2>/dev/null || true
    echo "making the archives failed (code $code) in line ${BASH_LINENO[0]}: $BASH_COMMAND" >&2
    exit 1
}
trap explain ERR

# What was there before, so that everything else can be removed.
remember() {
    install -d -m 0755 "$state"
    install -d -m 1777 "$lists"
    systemctl list-units --type=service --state=active,activating --plain --no-legend | awk '{print $1}' | sort >"$state/services"
    tar --create --file "$state/etc.tar" --directory / "${kept[@]}" etc
    find "${places[@]}" -xdev -print0 | sort --zero-terminated >"$state/paths"
}

# An option for the JVM of every service.
option() {
    install -d /run/systemd/system/service.d
    printf '[Service]\nEnvironment="JDK_JAVA_OPTIONS=%s"\n' "$1" >/run/systemd/system/service.d/hcluster-bake.conf
    systemctl daemon-reload
}

# A layer has its parent's archives, which fit unless it brings another Java.
fit() {
    local jar name
    for jar in /opt/hadoop/lib/*.jar; do
        name=$(basename "$jar" .jar)
        java -Xshare:on -XX:SharedArchiveFile="/opt/hadoop/archives/$name.jsa" -cp "$jar" -version >/dev/null 2>&1 || return 1
    done
}

# The name of the list tells the unit.
record() {
    install -d /opt/hadoop/archives
    # Until there are archives: Java's own, which is good for every class path and makes JVMs start sooner.
    local name base
    base=$(dirname "$(readlink --canonicalize "$(command -v java)")")/../lib/server/classes.jsa
    for name in /opt/hadoop/lib/*.jar; do
        ln --symbolic --force "$base" "/opt/hadoop/archives/$(basename "$name" .jar).jsa"
    done
    option "-XX:DumpLoadedClassList=$lists/%N.lst"
}

# The same Hiera layer as on a node, made by the node's own code.
hiera() {
    install -d -m 0755 /etc/hcluster
    install -d -m 0700 /etc/hcluster/secrets
    (umask 0077 && head --bytes 24 /dev/urandom | base64 | tr --delete '+/=\n' >/etc/hcluster/secrets/metastore)
    PYTHONPATH=/opt/hcluster/lib PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 - "$BAKE_REGION" >/etc/hcluster/node.yaml <<'PYTHON'
import json
import sys

from hcluster.model.user_data import UserData
from hcluster.node import machine
from hcluster.node.config import hiera
from hcluster.node.imds import Imds

me = Imds().identity()
data = UserData(
    platform="validate", cluster="validate", group="validate", role="validate", launch="validate", region=sys.argv[1],
    bucket="validate", s3_endpoint="http://127.0.0.1:9", config_key="", config_sha256="", release_key="", release_sha256="",
)
shared = {
    "master_host": me.hostname, "metastore_uri": f"thrift://{me.hostname}:9083", "workers": 1, "core_nodes": 1, "worker_memory_mib": 0,
    "data_dirs": ["/var/lib/hadoop"], "team": "default",
    # Four containers, since daemons that serve nobody else take less than their share; and an ApplicationMaster that notes its
    # classes on a busy machine takes its time.
    "site": {"yarn-site": {"yarn.nodemanager.resource.memory-mb": 2048, "yarn.am.liveness-monitor.expiry-interval-ms": 600000}},
}
print(json.dumps(hiera(data, me, shared, memory_mib=machine.memory_mib(), vcpus=machine.vcpus())))
PYTHON
}

daemons() {
    echo "## puppet apply, role::validate"
    hiera
    local code=0
    FACTER_hcluster_role=validate LC_ALL=C.UTF-8 puppet apply --detailed-exitcodes --color=false \
        --modulepath "$release/site-modules:$release/modules" --hiera_config "$release/hiera.yaml" \
        "$release/manifests/site.pp" || code=$?
    [ "$code" -eq 0 ] || [ "$code" -eq 2 ]
    echo "## waiting for every daemon"
    hcluster-node health
}

# Commands and containers, while the daemons do for them what they do for users.
work() {
    echo "## recording the classes of commands, MapReduce, Hive and Tez"
    local note="-XX:DumpLoadedClassList=$lists" jobs=()
    (
        export HADOOP_CLIENT_OPTS="$note/hadoop-%p.lst"
        hdfs dfs -put /etc/hcluster/image.json /trained.json
        hdfs dfs -cat /trained.json >/dev/null
        # Nothing accepts the connection; by then most of S3A has been loaded.
        timeout 180 hadoop fs -D fs.s3a.endpoint=http://127.0.0.1:9 -D fs.s3a.attempts.maximum=1 -D fs.s3a.retry.limit=0 \
            -D fs.s3a.aws.credentials.provider=org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider \
            -ls s3a://validate/ >/dev/null 2>&1 || true
        timeout 900 hadoop jar /opt/hadoop/examples/hadoop-mapreduce-examples.jar wordcount \
            -D "mapreduce.map.java.opts=$note/hadoop-%p.lst" -D "mapreduce.reduce.java.opts=$note/hadoop-%p.lst" \
            -D "yarn.app.mapreduce.am.command-opts=-Xmx256m $note/hadoop-%p.lst" /trained.json /trained
    ) >"$state/mapreduce.log" 2>&1 &
    jobs+=($!)
    timeout 900 /etc/hcluster/smoke.d/hive "hive.tez.java.opts=$note/tez-%p.lst" "tez.am.launch.cmd-opts=$note/tez-%p.lst" \
        >"$state/hive.log" 2>&1 &
    jobs+=($!)
    local job
    for job in "${jobs[@]}"; do
        wait "$job"
    done
}

# JVMs complete their lists when they end. The archive's name is in the unit.
dump() {
    echo "## ending the daemons"
    local units unit name
    mapfile -t units < <(grep --files-with-matches SharedArchiveFile /etc/systemd/system/*.service)
    # First who ends its session through YARN: without YARN it would try until systemd kills it, and its list stay in parts.
    systemctl stop hive-server2.service
    systemctl stop "${units[@]##*/}"
    rm /run/systemd/system/service.d/hcluster-bake.conf
    systemctl daemon-reload
    for unit in "${units[@]}"; do
        name=$(sed -n 's|.*-XX:SharedArchiveFile=[^ ]*/\([a-z]*\)\.jsa.*|\1|p' "$unit")
        unit=${unit##*/}
        mv "$lists/${unit%.service}.lst" "$lists/$name-${unit%.service}.lst"
    done
    echo "## dumping the archives"
    /usr/local/lib/hcluster/class-archives /opt/hadoop "$lists" /etc/hcluster/image.json
}

remember
if fit; then
    option -Xshare:on
    daemons
else
    record
    daemons
    work
    dump
fi
