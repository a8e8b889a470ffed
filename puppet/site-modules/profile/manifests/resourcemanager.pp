# @summary YARN ResourceManager.
class profile::resourcemanager {
  include hadoop::starting
  include profile::excluded
  include profile::hadoop
  include profile::java
  include profile::memory

  daemon::java { 'hadoop-resourcemanager':
    description => 'YARN ResourceManager',
    main_class  => 'org.apache.hadoop.yarn.server.resourcemanager.ResourceManager',
    user        => 'yarn',
    heap_mib    => $profile::memory::heap['hadoop-resourcemanager'],
    limit_mib   => $profile::memory::limit['hadoop-resourcemanager'],
    classpath   => $profile::hadoop::daemon_classpath,
    flags       => $profile::hadoop::daemon_flags,
    environment => $profile::hadoop::environment,
    requires    => $profile::hadoop::storage_units,
    prepare     => ["/usr/local/lib/hcluster/resourcemanager-authority ${profile::hadoop::data_dirs[0]}/yarn-state"],
    require     => Class['hadoop', 'hadoop::excluded', 'hadoop::starting'],
    subscribe   => $profile::hadoop::yarn_files,
  }
}
