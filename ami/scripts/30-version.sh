#!/bin/bash
# What this image is made of, for those who meet one of its nodes later.
set -euo pipefail

install -d -m 0755 /etc/hcluster
install -m 0644 /var/cache/hcluster/image.json /etc/hcluster/image.json
