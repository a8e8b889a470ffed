# @summary What is baked on an image that has Hadoop: what the image adds.
class role::layer {
  include profile::layer
}
