#!/bin/bash
# Prove that the image works before it becomes one: every jar is there, every role's daemon starts from its class-data archive
# and answers, jobs run. Then remove each trace of this proof and of 45-archives.sh. Whatever fails here fails the bake.
set -Eeuo pipefail

release=/var/cache/hcluster/puppet
places=(/etc /opt/hcluster /var/lib /var/log /var/cache /usr/local /root /srv)
state=/var/tmp/hcluster-validate # what was there before, from 45-archives.sh

services() { systemctl list-units --type=service --state=active,activating --plain --no-legend | awk '{print $1}' | sort; }
paths() { find "${places[@]}" -xdev -print0 | sort --zero-terminated; }

explain() {
    local code=$? unit
    for unit in $(systemctl list-units --state=failed,auto-restart --plain --no-legend | awk '{print $1}'); do
        echo "$unit does not run:" >&2
        journalctl --no-pager --output cat --lines 8 --unit "$unit" >&2 || true
    done
    tail -n 20 "$state/mapreduce.log" >&2 2>/dev/null || true
    echo "validation failed (code $code) in line ${BASH_LINENO[0]}: $BASH_COMMAND" >&2
    exit 1
}
trap explain ERR

jars() {
    echo "## checking every jar"
    # Of S3A a missing jar shows only when some call needs it, so the set is compared and then loaded.
    (cd /opt/hadoop && sha256sum --check --quiet --strict CHECKSUMS)
    local extra
    extra=$(comm -13 <(awk '{print $2}' /opt/hadoop/CHECKSUMS | sort) <(cd /opt/hadoop && find lib -mindepth 2 -name '*.jar' | sort))
    if [ -n "$extra" ]; then
        echo "jars that are not in CHECKSUMS: $extra" >&2
        return 1
    fi
}

# -Xshare:on: a JVM that cannot use its archive ends, where on a node it would only be slow.
daemons() {
    echo "## starting every daemon from its archive"
    printf '[Service]\nEnvironment="JDK_JAVA_OPTIONS=-Xshare:on"\n' >/run/systemd/system/service.d/hcluster-bake.conf
    systemctl daemon-reload
    local units
    mapfile -t units < <(grep --files-with-matches SharedArchiveFile /etc/systemd/system/*.service)
    systemctl start --no-block "${units[@]##*/}"
    hcluster-node health
    hcluster-node archives
}

# A daemon may serve its port while one of its threads died of a jar that is not there.
classes() {
    # Hive looks for its Kafka handler with each query and does without.
    if grep --extended-regexp 'NoClassDefFoundError|ClassNotFoundException|NoSuchMethodError' /var/log/hadoop/*.log |
        grep --invert-match KafkaDagCredentialSupplier >&2; then
        echo "a daemon's log names a class that is missing" >&2
        return 1
    fi
}

# The connector, with the configuration of a node, comes as far as the connection, which nothing accepts here.
s3a() {
    echo "## loading S3A"
    local answer
    answer=$(HADOOP_CLIENT_OPTS=-Xshare:on timeout 180 hadoop fs -D fs.s3a.endpoint=http://127.0.0.1:9 \
        -D fs.s3a.attempts.maximum=1 -D fs.s3a.retry.limit=0 \
        -D fs.s3a.aws.credentials.provider=org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider \
        -ls s3a://validate/ 2>&1 || true)
    if ! grep --quiet 'Connection refused' <<<"$answer"; then
        echo "S3A did not come as far as connecting:" >&2
        echo "$answer" >&2
        return 1
    fi
}

# Containers, too, end when they cannot use their archive; so does the job.
work() {
    echo "## MapReduce, Hive and the smoke tests"
    local strict=-Xshare:on check running=()
    (
        export HADOOP_CLIENT_OPTS=$strict
        hdfs dfs -put /etc/hcluster/image.json /validate.json
        [ "$(hdfs dfs -cat /validate.json | sha256sum)" = "$(sha256sum </etc/hcluster/image.json)" ]
        timeout 900 hadoop jar /opt/hadoop/examples/hadoop-mapreduce-examples.jar wordcount -D mapreduce.map.maxattempts=1 \
            -D mapreduce.map.java.opts=$strict -D mapreduce.reduce.java.opts=$strict \
            -D "yarn.app.mapreduce.am.command-opts=-Xmx256m $strict" /validate.json /validated
    ) >"$state/mapreduce.log" 2>&1 &
    running+=($!)
    for check in /etc/hcluster/smoke.d/*; do
        case $check in
            *s3*) ;; # no bucket here; the nodes of a real cluster run it
            */hive) timeout 900 "$check" "hive.tez.java.opts=$strict" "tez.am.launch.cmd-opts=$strict" ;;
            *) [ ! -x "$check" ] || timeout 120 "$check" ;;
        esac
    done
    wait "${running[@]}"
}

# The checks of this image's layers and of those below it, while the daemons run.
checks() {
    local check image code
    for check in /usr/local/lib/hcluster/checks/*; do
        [ -e "$check" ] || continue
        image=$(basename "${check%-*}")
        echo "## check of $image: $(head --lines 1 "$check")"
        code=0
        PYTHON=/opt/hcluster/python/$image/bin/python3 JARS=/opt/hcluster/jars PYTHONDONTWRITEBYTECODE=1 \
            timeout 300 bash -euo pipefail "$check" </dev/null || code=$?
        if [ "$code" -ne 0 ]; then
            echo "a check of image $image failed with code $code:" >&2
            cat "$check" >&2
            return 1
        fi
    done
}

# A jar that is none, or not whole, shows when some job needs it.
layer_jars() {
    local jar
    for jar in /opt/hcluster/jars/*.jar; do
        [ ! -e "$jar" ] || python3 -m zipfile --test "$jar" >/dev/null
    done
}

forget() {
    echo "## removing the traces"
    local started
    mapfile -t started < <(comm -13 "$state/services" <(services))
    if [ ${#started[@]} -gt 0 ]; then
        systemctl stop "${started[@]}"
    fi
    rm -rf "$release" /run/systemd/system/service.d
    comm --zero-terminated -13 "$state/paths" <(paths) | sort --zero-terminated --reverse | xargs --null --no-run-if-empty rm -rf
    tar --extract --preserve-permissions --overwrite --file "$state/etc.tar" --directory /
    systemctl daemon-reload
    systemctl reset-failed
    find /var/log -xdev -type f -exec truncate --size 0 {} +
    rm -rf /tmp/hsperfdata_* /tmp/hadoop-* /var/tmp/hadoop-* /tmp/hive* "$state"
    # Empty means: make one at the first boot. systemd needs its own until now.
    : >/etc/machine-id
    rm -f /var/lib/dbus/machine-id
    sync
}

# What a layer stands on passed these, and a layer cannot take away jars.
[ "$BAKE_ROLE" = layer ] || jars
layer_jars
daemons
if [ "$BAKE_ROLE" != layer ]; then
    s3a
    work
fi
checks
classes
forget
echo "## the image is valid"
