# @summary The class paths of the distribution, one jar each. The image has them; a node of an older image makes them.
#
# @param home where the distribution lies
# @param paths what each class path is made of, in order: folders below lib, or FOLDER/PATTERN
class hadoop::class_paths (
  String[1]                                                             $home,
  Hash[Pattern[/\A[a-z]+\z/], Array[Pattern[/\A[a-z0-9]+(\/[\w.*-]+)?\z/], 1]] $paths,
) {
  $script = '/usr/local/lib/hcluster/class-paths'
  $words = $paths.map |$name, $parts| { "${name}=${parts.join(',')}" }

  file { $script:
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
    source => 'puppet:///modules/hadoop/class-paths.py',
  }

  exec { 'write the class paths':
    command => [$script, $home] + $words,
    creates => "${home}/lib/${paths.keys[-1]}.jar",
    path    => ['/usr/bin', '/bin'],
    require => File[$script],
  }
}
