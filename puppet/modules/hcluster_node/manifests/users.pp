# @summary The accounts of the daemons.
#
# @param group group of all of them
# @param names accounts
class hcluster_node::users (
  String[1]           $group,
  Array[String[1], 1] $names,
) {
  group { $group:
    ensure => present,
    system => true,
  }

  user { $names:
    ensure     => present,
    system     => true,
    gid        => $group,
    home       => '/nonexistent',
    shell      => '/usr/sbin/nologin',
    managehome => false,
  }
}
