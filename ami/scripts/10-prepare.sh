#!/bin/bash
# Make the bare machine one that Puppet can work on: package sources, Puppet itself, a folder for the uploads.
set -euo pipefail

echo "## waiting for the machine's first boot to finish"
if command -v cloud-init >/dev/null; then
    # Its exit code 2 means finished with warnings.
    timeout 300 cloud-init status --wait >/dev/null || [ $? -eq 2 ]
fi
if [ "$BAKE_ROLE" = layer ]; then
    if [ ! -e /etc/hcluster/image.json ]; then
        echo "the parent is no image of hcluster's: it has no /etc/hcluster/image.json" >&2
        exit 1
    fi
    # This machine is no node, although its image makes it look like one.
    systemctl stop hcluster-converge.timer
fi

if [ -n "${PACKAGE_PROXY:-}" ]; then
    printf 'Acquire::http::Proxy "http://%s";\nAcquire::https::Proxy "http://%s";\n' "$PACKAGE_PROXY" "$PACKAGE_PROXY" \
        >/etc/apt/apt.conf.d/00hcluster-bake
fi
# An image that is not finished is thrown away, so there is nothing to lose by not syncing each file.
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/hcluster-bake
# Packages install daemons; this image starts none of them before its role is known.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d

echo "## installing Puppet"
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get --quiet --quiet -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3)
"${apt[@]}" update
"${apt[@]}" install --yes --no-install-recommends puppet-agent zstd
systemctl disable --quiet --now puppet.service 2>/dev/null || true # masterless: our own timer converges

install -d -m 0755 -o "${SUDO_USER:-root}" /var/cache/hcluster
echo "## uploading what is installed"
