#!/bin/bash
# Prove that the image works before it becomes one: every jar is there, every role's daemon starts and answers. Then remove
# each trace of the proof. Whatever fails here fails the bake.
set -Eeuo pipefail

release=/var/cache/hcluster/puppet
places=(/etc /opt/hcluster /var/lib /var/log /var/cache /usr/local /root /srv)
# Bound from outside in a container, thus not ours to write.
bound=(--exclude=etc/hosts --exclude=etc/hostname --exclude=etc/resolv.conf)
state=$(mktemp -d /var/tmp/hcluster-validate.XXXXXX)

services() { systemctl list-units --type=service --state=active,activating --plain --no-legend | awk '{print $1}' | sort; }
paths() { find "${places[@]}" -xdev -print0 | sort --zero-terminated; }

explain() {
    local code=$? unit
    for unit in $(systemctl list-units --state=failed,auto-restart --plain --no-legend | awk '{print $1}'); do
        echo "$unit does not run:" >&2
        journalctl --no-pager --output cat --lines 8 --unit "$unit" >&2 || true
    done
    echo "validation failed (code $code) in line ${BASH_LINENO[0]}: $BASH_COMMAND" >&2
    exit 1
}
trap explain ERR

jars() {
    echo "## checking every jar"
    # Of S3A a missing jar shows only when some call needs it, so the set is compared and then loaded.
    (cd /opt/hadoop && sha256sum --check --quiet --strict CHECKSUMS)
    local extra
    extra=$(comm -13 <(awk '{print $2}' /opt/hadoop/CHECKSUMS | sort) <(cd /opt/hadoop && find lib -name '*.jar' | sort))
    if [ -n "$extra" ]; then
        echo "jars that are not in CHECKSUMS: $extra" >&2
        return 1
    fi
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
    "data_dirs": ["/var/lib/hadoop"], "site": {}, "team": "default",
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

# A daemon may serve its port while one of its threads died of a jar that is not there.
classes() {
    if grep --extended-regexp 'NoClassDefFoundError|ClassNotFoundException|NoSuchMethodError' /var/log/hadoop/*.log >&2; then
        echo "a daemon's log names a class that is missing" >&2
        return 1
    fi
}

# The connector, with the configuration of a node, comes as far as the connection, which nothing accepts here.
s3a() {
    echo "## loading S3A"
    local answer
    answer=$(timeout 60 hadoop fs -D fs.s3a.endpoint=http://127.0.0.1:9 -D fs.s3a.attempts.maximum=1 -D fs.s3a.retry.limit=0 \
        -D fs.s3a.aws.credentials.provider=org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider \
        -ls s3a://validate/ 2>&1 || true)
    if ! grep --quiet 'Connection refused' <<<"$answer"; then
        echo "S3A did not come as far as connecting:" >&2
        echo "$answer" >&2
        return 1
    fi
}

smoke() {
    echo "## HDFS and the smoke tests"
    hdfs dfs -put /etc/hcluster/image.json /validate.json
    [ "$(hdfs dfs -cat /validate.json | sha256sum)" = "$(sha256sum </etc/hcluster/image.json)" ]
    local check
    for check in /etc/hcluster/smoke.d/*; do
        case $check in
            *s3*) ;; # no bucket here; the nodes of a real cluster run it
            *) [ ! -x "$check" ] || timeout 120 "$check" ;;
        esac
    done
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
    rm -rf "$release"
    comm --zero-terminated -13 "$state/paths" <(paths) | sort --zero-terminated --reverse | xargs --null --no-run-if-empty rm -rf
    tar --extract --preserve-permissions --overwrite --file "$state/etc.tar" --directory / "${bound[@]}"
    systemctl daemon-reload
    systemctl reset-failed
    find /var/log -xdev -type f -exec truncate --size 0 {} +
    rm -rf /tmp/hsperfdata_* /tmp/hadoop-* /tmp/hive* "$state"
    # Empty means: make one at the first boot. systemd needs its own until now.
    : >/etc/machine-id
    rm -f /var/lib/dbus/machine-id
    sync
}

services >"$state/services"
tar --create --file "$state/etc.tar" --directory / "${bound[@]}" etc
paths >"$state/paths"
# What a layer stands on passed these, and a layer cannot take away jars.
[ "$BAKE_ROLE" = layer ] || jars
layer_jars
daemons
if [ "$BAKE_ROLE" != layer ]; then
    s3a
    smoke
fi
checks
classes
forget
echo "## the image is valid"
