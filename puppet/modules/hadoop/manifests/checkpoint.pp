# @summary Keeps the edit log of a NameNode that stands for long from growing for ever.
#
# A NameNode merges its log only when it starts. The SecondaryNameNode does it beside a running one; as a command it ends
# at once when fewer than dfs.namenode.checkpoint.txns changes have come, and takes memory only while it works.
#
# @param heap_mib largest heap in MiB while it works
# @param every time between two looks, as systemd writes it
# @param splay random part of it
class hadoop::checkpoint (
  Integer[16] $heap_mib,
  String[1]   $every,
  String[1]   $splay,
) {
  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0644',
      ;
    '/etc/systemd/system/hadoop-checkpoint.service':
      content => epp('hadoop/checkpoint.service.epp', { 'heap_mib' => $heap_mib }),
      ;
    '/etc/systemd/system/hadoop-checkpoint.timer':
      content => epp('hadoop/checkpoint.timer.epp', { 'every' => $every, 'splay' => $splay }),
      ;
    '/etc/systemd/system/timers.target.wants/hadoop-checkpoint.timer':
      ensure => link,
      target => '/etc/systemd/system/hadoop-checkpoint.timer',
      ;
  }

  service { 'hadoop-checkpoint.timer':
    ensure  => running,
    start   => '/bin/systemctl start --no-block hadoop-checkpoint.timer',
    require => File[
      '/etc/systemd/system/hadoop-checkpoint.service',
      '/etc/systemd/system/hadoop-checkpoint.timer',
      '/etc/systemd/system/timers.target.wants/hadoop-checkpoint.timer'
    ],
  }
}
