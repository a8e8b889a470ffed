# @summary Worker without data.
class role::task {
  include profile::nodemanager
  include profile::health
}
