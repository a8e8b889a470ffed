# @summary Folders that everything else on a node relies on.
class hcluster_node {
  file {
    default:
      ensure => directory,
      owner  => 'root',
      group  => 'root',
      mode   => '0755',
      ;
    ['/etc/hcluster', '/opt/hcluster', '/usr/local/lib/hcluster', '/var/log/hcluster']:
      ;
    ['/var/cache/hcluster', '/var/lib/hcluster']:
      ;
  }
}
