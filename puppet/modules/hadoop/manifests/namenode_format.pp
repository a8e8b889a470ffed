# @summary The script that gives a new NameNode its empty file system.
class hadoop::namenode_format {
  file { '/usr/local/lib/hcluster/namenode-format':
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
    source => 'puppet:///modules/hadoop/namenode-format.sh',
  }
}
