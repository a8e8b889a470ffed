# @summary HDFS NameNode; it formats its directory when there is none.
#
# @param checkpoint_every time between two looks at its edit log, as systemd writes it
# @param checkpoint_splay random part of it
class profile::namenode (
  String[1] $checkpoint_every,
  String[1] $checkpoint_splay,
) {
  include hadoop::starting
  include hadoop::namenode_page
  include profile::excluded
  include profile::hadoop
  include profile::java
  include profile::memory

  daemon::java { 'hadoop-namenode':
    description => 'HDFS NameNode',
    main_class  => 'org.apache.hadoop.hdfs.server.namenode.NameNode',
    user        => 'hdfs',
    heap_mib    => $profile::memory::heap['hadoop-namenode'],
    limit_mib   => $profile::memory::limit['hadoop-namenode'],
    classpath   => $profile::hadoop::daemon_classpath,
    flags       => $profile::hadoop::daemon_flags,
    environment => $profile::hadoop::environment,
    requires    => $profile::hadoop::storage_units,
    prepare     => ["/usr/local/lib/hcluster/namenode-format ${profile::hadoop::data_dirs[0]}/namenode"],
    require     => Class['hadoop', 'hadoop::excluded', 'hadoop::starting'],
    subscribe   => $profile::hadoop::hdfs_files,
  }

  class { 'hadoop::checkpoint':
    heap_mib => $profile::memory::heap['hadoop-namenode'],
    every    => $checkpoint_every,
    splay    => $checkpoint_splay,
    require  => Class['hadoop'],
  }
}
