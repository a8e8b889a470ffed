# @summary One a platform: the metastore and its database.
class role::platform {
  include profile::mariadb
  include profile::metastore
  include profile::health
}
