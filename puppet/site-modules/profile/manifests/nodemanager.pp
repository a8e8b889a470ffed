# @summary YARN NodeManager.
class profile::nodemanager {
  include profile::hadoop
  include profile::java
  include profile::memory

  daemon::java { 'hadoop-nodemanager':
    description => 'YARN NodeManager',
    main_class  => 'org.apache.hadoop.yarn.server.nodemanager.NodeManager',
    user        => 'yarn',
    heap_mib    => $profile::memory::heap['hadoop-nodemanager'],
    limit_mib   => $profile::memory::limit['hadoop-nodemanager'],
    classpath   => $profile::hadoop::daemon_classpath,
    flags       => $profile::hadoop::daemon_flags,
    environment => $profile::hadoop::environment,
    requires    => $profile::hadoop::storage_units,
    require     => Class['hadoop'],
    subscribe   => $profile::hadoop::yarn_files,
  }
}
