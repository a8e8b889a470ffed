# @summary Everything that is the same on every node and is therefore installed once, when an image is baked.
#
# @param archives folder with dist.tar.zst and node.tar.zst
# @param home where the distribution goes
# @param lib where hcluster's own code goes
class profile::image (
  String[1] $archives,
  String[1] $home,
  String[1] $lib,
) {
  contain hcluster_node
  contain hcluster_node::packages
  contain hcluster_node::users
  contain hcluster_node::puppet
  contain hcluster_node::sshd
  contain hcluster_node::agent
  contain hadoop::commands
  contain hadoop::class_archives
  contain hadoop::class_paths
  contain hadoop::starting
  contain hadoop::template

  Class['hcluster_node'] -> Class['hcluster_node::sshd', 'hcluster_node::agent', 'hadoop::commands', 'hadoop::starting']
  Class['hcluster_node::packages'] -> Class['hcluster_node::users'] -> Hcluster_node::Tree[$home, $lib]
  Class['hcluster_node'] -> Class['hadoop::class_archives', 'hadoop::class_paths']
  Hcluster_node::Tree[$home] -> Class['hadoop::class_paths', 'hadoop::template']

  hcluster_node::tree { $home:
    archive => "${archives}/dist.tar.zst",
  }

  hcluster_node::tree { $lib:
    archive => "${archives}/node.tar.zst",
    finish  => '/usr/bin/python3 -m compileall -q .',
  }

  # The package has made a database; each platform node makes its own.
  file { '/var/lib/mysql':
    ensure  => absent,
    force   => true,
    require => Class['hcluster_node::packages'],
  }
}
