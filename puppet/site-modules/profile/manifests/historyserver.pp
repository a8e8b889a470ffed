# @summary MapReduce JobHistoryServer.
class profile::historyserver {
  include profile::hadoop
  include profile::java
  include profile::memory

  daemon::java { 'hadoop-historyserver':
    description => 'MapReduce JobHistoryServer',
    main_class  => 'org.apache.hadoop.mapreduce.v2.hs.JobHistoryServer',
    user        => 'mapred',
    heap_mib    => $profile::memory::heap['hadoop-historyserver'],
    limit_mib   => $profile::memory::limit['hadoop-historyserver'],
    classpath   => $profile::hadoop::daemon_classpath,
    flags       => $profile::hadoop::daemon_flags,
    environment => $profile::hadoop::environment,
    require     => Class['hadoop'],
    subscribe   => $profile::hadoop::yarn_files,
  }
}
