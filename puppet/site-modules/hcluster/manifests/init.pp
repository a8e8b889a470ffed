# @summary What the bootstrap found out about this node, as it lies in /etc/hcluster/node.yaml.
#
# The class has no resources: it gives types to the node's facts, so that a wrong one fails before anything changes.
#
# @param platform name of the platform
# @param cluster name of the cluster
# @param team team that owns the cluster
# @param role role of this node
# @param bucket bucket of the platform
# @param region AWS region
# @param s3_endpoint URL of S3 as this node reaches it
# @param master_host FQDN of the cluster's master; empty on the platform node
# @param metastore_uri address of the shared metastore
# @param metastore_volume id of the volume with the metastore's database; empty on every other node
# @param node_host FQDN of this node
# @param node_ip address of this node
# @param memory_mib memory of this node in MiB
# @param vcpus processors of this node
# @param workers core and task nodes that the cluster wants
# @param core_nodes core nodes that the cluster wants
# @param data_dirs folders for data on the root volume, for a node without disks
# @param disks volumes that this node was launched with, beside its root
# @param disk_path where they are mounted, without the number of each
# @param site properties that the cluster's owner sets, by file name without .xml; they win
# @param excluded workers that the master drains: addresses by hdfs, host names by yarn
# @param worker_memory_mib memory of the smallest worker in MiB; 0 means that of this node
class hcluster (
  String[1]                                                 $platform,
  String[1]                                                 $cluster,
  String[1]                                                 $team,
  Hcluster::Role                                            $role,
  String                                                    $bucket,
  String[1]                                                 $region,
  Pattern[/\Ahttps?:\/\//]                                  $s3_endpoint,
  String                                                    $master_host,
  Pattern[/\Athrift:\/\//]                                  $metastore_uri,
  Pattern[/\A(vol-[0-9a-f]{8,17})?\z/]                      $metastore_volume,
  String[1]                                                 $node_host,
  String[1]                                                 $node_ip,
  Integer[256]                                              $memory_mib,
  Integer[1]                                                $vcpus,
  Integer[0]                                                $workers,
  Integer[0]                                                $core_nodes,
  Array[Pattern[/\A\//], 1]                                 $data_dirs,
  Integer[0]                                                $disks,
  Pattern[/\A\//]                                           $disk_path,
  Hash[String[1], Hash[String[1], Variant[Scalar, String]]] $site,
  Hash[Enum['hdfs', 'yarn'], Array[Pattern[/\A[\w.-]+\z/]]] $excluded,
  Integer[0]                                                $worker_memory_mib,
) {
  # Where data goes: a folder on each disk, or those of the root volume.
  $storage = $disks ? {
    0       => $data_dirs,
    default => Integer[0, $disks - 1].map |$number| { "${disk_path}${number}/hadoop" },
  }

  # Whether the metastore is this node's own; with one from outside no node has any.
  $metastore_here = $metastore_uri.split(',').any |$uri| {
    $uri.regsubst('\A\w+://', '').regsubst('(:\d+)?/?\z', '').downcase in [$node_host.downcase, $node_ip]
  }
}
