# @summary The database of the metastore, on the platform's volume when this node has one.
#
# @param options fixed options of the server
# @param folder where its data is
# @param label label of the volume's file system
# @param volume_wait seconds that the volume may take to be attached
class profile::mariadb (
  Hash[String[1], Variant[String, Integer]] $options,
  String[1]                                 $folder,
  String[1]                                 $label,
  Integer[1]                                $volume_wait,
) {
  include hcluster
  include profile::memory

  if $hcluster::metastore_volume != '' {
    volume::mount { 'metastore':
      volume => $hcluster::metastore_volume,
      path   => $folder,
      label  => $label,
      wait   => $volume_wait,
      before => Class['mariadb'],
    }
    $requires = ['hcluster-volume-metastore.service']
  } else {
    $requires = []
  }

  class { 'mariadb':
    options  => $options + { 'innodb-buffer-pool-size' => "${profile::memory::heap['mariadb']}M" },
    folder   => $folder,
    requires => $requires,
  }
}
