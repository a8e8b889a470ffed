# @summary What is baked on a bare machine: all that nodes have in common, and what the image adds.
class role::image {
  include profile::image
  include profile::layer

  Class['profile::image'] -> Class['profile::layer']
}
