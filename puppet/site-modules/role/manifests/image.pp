# @summary What is baked.
class role::image {
  include profile::image
}
