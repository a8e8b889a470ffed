#!/bin/bash
# Everything that is installed, Puppet installs: role::image.
set -euo pipefail

cache=/var/cache/hcluster
release=$cache/puppet

chown --recursive root:root "$cache"
install -d "$release"
tar --extract --gzip --no-same-owner --file "$cache/puppet.tar.gz" --directory "$release"

echo "## puppet apply, role::image"
code=0
FACTER_hcluster_role=image LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive puppet apply --detailed-exitcodes --color=false \
    --modulepath "$release/site-modules:$release/modules" --hiera_config "$release/hiera.yaml" \
    "$release/manifests/site.pp" || code=$?
case $code in
    0 | 2) ;; # nothing to change, everything changed well
    *)
        echo "puppet apply ended with code $code" >&2
        exit 1
        ;;
esac
