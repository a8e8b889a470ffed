# @summary The program that dumps the class-data archives while an image is baked.
class hadoop::class_archives {
  file { '/usr/local/lib/hcluster/class-archives':
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
    source => 'puppet:///modules/hadoop/class-archives.py',
  }
}
