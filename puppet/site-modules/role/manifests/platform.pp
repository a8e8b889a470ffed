# @summary One a platform: the metastore and its database, unless the platform uses a metastore from outside.
class role::platform {
  include hcluster

  if $hcluster::metastore_here {
    include profile::mariadb
    include profile::metastore
  }
  # For the smoke test of S3A, which all roles' commands rely on.
  include profile::hadoop
  include profile::health
}
