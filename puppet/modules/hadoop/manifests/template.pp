# @summary The formatted NameNode directory that namenode-format copies.
#
# @param home where the distribution lies
# @param directories folders of HDFS, each as PATH:OWNER:MODE
class hadoop::template (
  String[1]                                        $home,
  Array[Pattern[/\A(\/[\w.-]+)+:\w+:[0-7]{4}\z/]] $directories,
) {
  $script = '/usr/local/lib/hcluster/namenode-template'

  file { $script:
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
    source => 'puppet:///modules/hadoop/namenode-template.py',
  }

  exec { 'format the template of NameNode directories':
    command => [$script, $home] + $directories,
    creates => "${home}/namenode/current/VERSION",
    path    => ['/usr/bin', '/bin'],
    require => File[$script],
  }
}
