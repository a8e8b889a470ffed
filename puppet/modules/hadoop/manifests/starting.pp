# @summary Scripts that run before a master's daemons: what they would do themselves, later.
class hadoop::starting {
  ['namenode-format', 'resourcemanager-authority', 'wait-for-hdfs'].each |$name| {
    file { "/usr/local/lib/hcluster/${name}":
      owner  => 'root',
      group  => 'root',
      mode   => '0755',
      source => "puppet:///modules/hadoop/${name}.sh",
    }
  }
}
