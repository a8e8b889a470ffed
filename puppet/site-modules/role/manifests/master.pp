# @summary One a cluster: NameNode, ResourceManager, JobHistoryServer and HiveServer2.
class role::master {
  include profile::namenode
  include profile::resourcemanager
  include profile::historyserver
  include profile::hive
  include profile::health
}
