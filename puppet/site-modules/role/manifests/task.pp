# @summary Worker without data.
class role::task {
  include profile::nodemanager
  include profile::health

  Daemon::Java['hadoop-nodemanager'] -> Class['hcluster_node::health']
}
