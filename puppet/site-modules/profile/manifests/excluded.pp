# @summary The workers that this master drains.
class profile::excluded {
  include hcluster
  include profile::hadoop

  $excluded = { 'hdfs' => [], 'yarn' => [] } + $hcluster::excluded

  class { 'hadoop::excluded':
    conf_dir => $profile::hadoop::conf_dir,
    hdfs     => $excluded['hdfs'],
    yarn     => $excluded['yarn'],
    require  => Class['hadoop'],
  }
}
