# @summary Health checks and smoke tests of this node's role.
#
# @param ports where each unit must answer
# @param smoke smoke tests by role
class profile::health (
  Hash[String[1], Integer[1, 65535]]        $ports,
  Hash[Hcluster::Role, Array[Enum['s3a', 'metastore']]] $smoke,
) {
  include hcluster
  include profile::memory

  $units = $profile::memory::shares.keys.filter |$unit| { $unit in $ports }
  # The database listens for its own node alone.
  $hosts = { 'mariadb' => '127.0.0.1' }
  # A mount has no port; its failure is told before that of everything that needs it.
  $volumes = ($hcluster::metastore_here and $hcluster::metastore_volume != '') ? {
    true    => [{ 'name' => 'volume-metastore', 'unit' => 'hcluster-volume-metastore.service', 'host' => $hcluster::node_ip, 'port' => 0 }],
    default => [],
  }
  $checks = $volumes + $units.map |$unit| {
    {
      'name' => regsubst($unit, '^hadoop-', ''),
      'unit' => "${unit}.service",
      'host' => $hosts[$unit].lest || { $hcluster::node_ip },
      'port' => $ports[$unit],
    }
  }
  $texts = {
    's3a'       => epp('profile/smoke_s3a.py.epp', {
        'bucket'   => $hcluster::bucket,
        'region'   => $hcluster::region,
        'endpoint' => $hcluster::s3_endpoint,
    }),
    'metastore' => epp('profile/smoke_metastore.py.epp', { 'uri' => $hcluster::metastore_uri }),
  }
  $wanted = $smoke[$facts['hcluster_role']].lest || { [] }

  class { 'hcluster_node::health':
    smoke  => $texts.filter |$name, $text| { $name in $wanted },
    checks => $checks,
  }
}
