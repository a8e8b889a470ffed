# @summary MapReduce JobHistoryServer.
#
# @param wait seconds that it waits for HDFS at most
class profile::historyserver (
  Integer[1] $wait,
) {
  include hadoop::starting
  include profile::hadoop
  include profile::java
  include profile::memory

  $names = ($profile::hadoop::hdfs_site + $profile::hadoop::site['hdfs-site'])['dfs.namenode.http-address']

  daemon::java { 'hadoop-historyserver':
    description => 'MapReduce JobHistoryServer',
    main_class  => 'org.apache.hadoop.mapreduce.v2.hs.JobHistoryServer',
    user        => 'mapred',
    heap_mib    => $profile::memory::heap['hadoop-historyserver'],
    limit_mib   => $profile::memory::limit['hadoop-historyserver'],
    classpath   => $profile::hadoop::daemon_classpath,
    flags       => $profile::hadoop::daemon_flags,
    environment => $profile::hadoop::environment,
    prepare     => ["/usr/local/lib/hcluster/wait-for-hdfs ${names} ${wait}"],
    require     => Class['hadoop', 'hadoop::starting'],
    subscribe   => $profile::hadoop::yarn_files,
  }
}
