# FACTER_hcluster_role names the one role of this node.

File {
  backup => false,
}

unless $facts['hcluster_role'] =~ Hcluster::Role {
  fail("FACTER_hcluster_role is '${facts['hcluster_role']}', not one of master, core, task, platform, image, layer, validate")
}

include "role::${facts['hcluster_role']}"
