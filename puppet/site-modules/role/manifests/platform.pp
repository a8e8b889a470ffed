# @summary One a platform: the metastore and its database, unless the platform uses a metastore from outside.
class role::platform {
  include hcluster

  if $hcluster::metastore_here {
    # On the root volume its tables would end with this node.
    if $hcluster::metastore_volume == '' {
      fail('the platform node has no volume for the metastore: run `hcluster platform up` again')
    }
    include profile::mariadb
    include profile::metastore
    include profile::dump
  }
  # For the smoke test of S3A, which all roles' commands rely on.
  include profile::hadoop
  include profile::health
}
