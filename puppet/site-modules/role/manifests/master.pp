# @summary One a cluster: NameNode, ResourceManager, JobHistoryServer and HiveServer2.
class role::master {
  include profile::namenode
  include profile::resourcemanager
  include profile::historyserver
  include profile::hive
  include profile::health

  # Each daemon starts as soon as its own configuration is there: first those that workers and queries wait for, then what
  # nobody waits for.
  Daemon::Java['hadoop-namenode'] -> Daemon::Java['hadoop-resourcemanager'] -> Class['tez'] -> Class['hive']
  -> Daemon::Java['hadoop-historyserver'] -> Class['hadoop::checkpoint', 'hcluster_node::health']
}
