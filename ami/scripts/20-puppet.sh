#!/bin/bash
# Everything that is installed, Puppet installs: role::image, or role::layer on an image that has Hadoop.
set -euo pipefail

cache=/var/cache/hcluster
release=$cache/puppet

chown --recursive root:root "$cache"
install -d "$release"
tar --extract --gzip --no-same-owner --file "$cache/puppet.tar.gz" --directory "$release"

# What this image adds, for class layer.
install -d -m 0755 /etc/hcluster
install -m 0644 "$cache/layer.yaml" /etc/hcluster/node.yaml

echo "## puppet apply, role::$BAKE_ROLE"
code=0
FACTER_hcluster_role="$BAKE_ROLE" LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive puppet apply --detailed-exitcodes --color=false \
    --modulepath "$release/site-modules:$release/modules" --hiera_config "$release/hiera.yaml" \
    "$release/manifests/site.pp" || code=$?
case $code in
    0 | 2) ;; # nothing to change, everything changed well
    *)
        echo "puppet apply ended with code $code" >&2
        exit 1
        ;;
esac
rm /etc/hcluster/node.yaml
