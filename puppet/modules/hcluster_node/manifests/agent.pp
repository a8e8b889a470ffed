# @summary hcluster's own code on the node: what boots it, and what keeps it as it should be.
#
# @param every time between two convergences, as systemd writes it
# @param splay random part of it
# @param boot_limit time that the bootstrap may take, as systemd writes it
# @param listen_every seconds between two looks at what the node is told
class hcluster_node::agent (
  String[1]  $every,
  String[1]  $splay,
  String[1]  $boot_limit,
  Integer[1] $listen_every,
) {
  $watch = '/usr/local/lib/hcluster/watch'

  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0644',
      ;
    '/usr/local/bin/hcluster-node':
      mode   => '0755',
      source => 'puppet:///modules/hcluster_node/hcluster-node.sh',
      ;
    '/etc/systemd/system/hcluster-bootstrap.service':
      content => epp('hcluster_node/bootstrap.service.epp', { 'boot_limit' => $boot_limit }),
      ;
    '/etc/systemd/system/hcluster-converge.service':
      source => 'puppet:///modules/hcluster_node/hcluster-converge.service',
      ;
    '/etc/systemd/system/hcluster-converge.timer':
      content => epp('hcluster_node/converge.timer.epp', { 'every' => $every, 'splay' => $splay }),
      ;
    $watch:
      mode   => '0755',
      source => 'puppet:///modules/hcluster_node/watch.sh',
      ;
    '/etc/systemd/system/hcluster-watch.service':
      content => epp('hcluster_node/watch.service.epp', { 'program' => $watch, 'seconds' => $listen_every }),
      ;
    '/etc/systemd/journald.conf.d':
      ensure => directory,
      mode   => '0755',
      ;
    '/etc/systemd/journald.conf.d/hcluster.conf':
      content => "# Written by Puppet: changes do not last.\n[Journal]\nSystemMaxUse=256M\nRuntimeMaxUse=32M\n",
      ;
  }

  # Enabled and not started: the machine that is baked is no node.
  service { ['hcluster-bootstrap.service', 'hcluster-converge.timer', 'hcluster-watch.service']:
    enable  => true,
    require => File[
      '/etc/systemd/system/hcluster-bootstrap.service',
      '/etc/systemd/system/hcluster-converge.service',
      '/etc/systemd/system/hcluster-converge.timer',
      '/etc/systemd/system/hcluster-watch.service'
    ],
  }
}
