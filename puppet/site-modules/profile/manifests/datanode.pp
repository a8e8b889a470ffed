# @summary HDFS DataNode.
class profile::datanode {
  include profile::hadoop
  include profile::java
  include profile::memory

  daemon::java { 'hadoop-datanode':
    description => 'HDFS DataNode',
    main_class  => 'org.apache.hadoop.hdfs.server.datanode.DataNode',
    user        => 'hdfs',
    heap_mib    => $profile::memory::heap['hadoop-datanode'],
    limit_mib   => $profile::memory::limit['hadoop-datanode'],
    classpath   => $profile::hadoop::daemon_classpath,
    flags       => $profile::hadoop::daemon_flags,
    environment => $profile::hadoop::environment,
    requires    => $profile::hadoop::storage_units,
    require     => Class['hadoop'],
    subscribe   => $profile::hadoop::hdfs_files,
  }
}
