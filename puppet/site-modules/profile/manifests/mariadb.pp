# @summary The database of the metastore.
#
# @param options fixed options of the server
class profile::mariadb (
  Hash[String[1], Variant[String, Integer]] $options,
) {
  include profile::memory

  class { 'mariadb':
    options => $options + { 'innodb-buffer-pool-size' => "${profile::memory::heap['mariadb']}M" },
  }
}
