# @summary The commands hadoop, hdfs, yarn and mapred.
#
# @param names what they are called
class hadoop::commands (
  Array[String[1], 1] $names,
) {
  $script = '/usr/local/lib/hcluster/hadoop-command'

  file { $script:
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
    source => 'puppet:///modules/hadoop/command.sh',
  }

  $names.each |$name| {
    file { "/usr/local/bin/${name}":
      ensure => link,
      target => $script,
    }
  }
}
