# @summary The program that mounts volumes.
class volume {
  $program = '/usr/local/lib/hcluster/volume-mount'

  file { $program:
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
    source => 'puppet:///modules/volume/volume-mount.sh',
  }
}
