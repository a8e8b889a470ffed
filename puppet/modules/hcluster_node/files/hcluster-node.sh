#!/bin/sh
# Written by Puppet: changes do not last.
PYTHONPATH=/opt/hcluster/lib
export PYTHONPATH
exec /usr/bin/python3 -m hcluster.node.main "$@"
