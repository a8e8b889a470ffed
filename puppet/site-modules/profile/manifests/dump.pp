# @summary Dumps of the metastore's database in the bucket.
#
# @param database name of the database
# @param every time between two dumps, as systemd writes it
# @param splay random part of it
class profile::dump (
  String[1] $database,
  String[1] $every,
  String[1] $splay,
) {
  include profile::metastore

  class { 'metastore::dump':
    database => $database,
    marker   => $profile::metastore::marker,
    every    => $every,
    splay    => $splay,
    require  => Class['metastore'],
  }
}
