# @summary Worker with a share of HDFS.
class role::core {
  include profile::datanode
  include profile::nodemanager
  include profile::health

  # The daemons start as soon as their own configuration is there; a NodeManager takes longer.
  Daemon::Java['hadoop-nodemanager'] -> Daemon::Java['hadoop-datanode'] -> Class['hcluster_node::health']
}
