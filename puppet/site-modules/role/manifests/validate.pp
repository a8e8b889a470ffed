# @summary All daemons on one node, before an image is made of it.
class role::validate {
  include profile::namenode
  include profile::resourcemanager
  include profile::historyserver
  include profile::datanode
  include profile::nodemanager
  include profile::mariadb
  include profile::metastore
  include profile::hive
  include profile::health
}
