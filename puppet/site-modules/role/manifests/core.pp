# @summary Worker with a share of HDFS.
class role::core {
  include profile::datanode
  include profile::nodemanager
  include profile::health
}
