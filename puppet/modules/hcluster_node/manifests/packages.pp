# @summary Debian's packages of a node, and none of its background jobs.
#
# @param names packages
# @param idle units that a package starts by itself and that a node does not want
class hcluster_node::packages (
  Array[String[1], 1] $names,
  Array[String[1]]    $idle,
) {
  package { $names:
    ensure          => installed,
    install_options => ['--no-install-recommends'],
  }

  # Updates come with a new image; a node does not change under a running job.
  service { $idle:
    ensure  => stopped,
    enable  => false,
    require => Package[$names],
  }
}
