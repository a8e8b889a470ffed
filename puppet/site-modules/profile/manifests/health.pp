# @summary Health checks and smoke tests of this node's role.
#
# @param ports where each unit must answer
# @param yarn_port where the ResourceManager's pages are
# @param node_port part of a NodeManager's name for YARN
# @param data_port where a DataNode's pages are
# @param smoke smoke tests by role
class profile::health (
  Hash[String[1], Integer[1, 65535]]        $ports,
  Integer[1, 65535]                         $yarn_port,
  Integer[1, 65535]                         $node_port,
  Integer[1, 65535]                         $data_port,
  Hash[Hcluster::Role, Array[Enum['s3a', 'metastore', 'hive']]] $smoke,
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
  # A worker's daemons serve before their masters know them.
  $pages = {
    'hadoop-nodemanager' => {
      'name' => 'yarn',
      'url'  => "http://${hcluster::master_host}:${yarn_port}/ws/v1/cluster/nodes/${hcluster::node_host}:${node_port}",
      'text' => '"state":"RUNNING"',
    },
    'hadoop-datanode'    => {
      'name' => 'hdfs',
      'url'  => "http://${hcluster::node_ip}:${data_port}/jmx?qry=Hadoop:service=DataNode,name=DataNodeInfo",
      'text' => '\"ActorState\":\"RUNNING\"',
    },
  }
  $joins = $pages.filter |$unit, $page| { $unit in $units }.map |$unit, $page| { $page + { 'unit' => "${unit}.service" } }
  $texts = {
    's3a'       => epp('profile/smoke_s3a.py.epp', {
        'bucket'   => $hcluster::bucket,
        'region'   => $hcluster::region,
        'endpoint' => $hcluster::s3_endpoint,
    }),
    'metastore' => epp('profile/smoke_metastore.py.epp', { 'uri' => $hcluster::metastore_uri }),
    'hive'      => epp('profile/smoke_hive.py.epp', { 'host' => $hcluster::node_ip, 'port' => $ports['hive-server2'] }),
  }
  $wanted = $smoke[$facts['hcluster_role']].lest || { [] }

  class { 'hcluster_node::health':
    smoke  => $texts.filter |$name, $text| { $name in $wanted },
    checks => $checks,
    joins  => $joins,
  }
}
