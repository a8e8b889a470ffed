# @summary Dumps the metastore's database into the bucket: at times, and once more before this machine ends.
#
# @param database name of the database
# @param marker file that exists while a dump is being restored
# @param every time between two dumps, as systemd writes it
# @param splay random part of it
class metastore::dump (
  Pattern[/\A\w+\z/] $database,
  String[1]          $marker,
  String[1]          $every,
  String[1]          $splay,
) {
  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0644',
      ;
    # What hcluster-node runs for a dump.
    '/usr/local/lib/hcluster/dump':
      mode    => '0755',
      content => epp('metastore/dump.sh.epp', { 'database' => $database, 'marker' => $marker }),
      ;
    '/etc/systemd/system/hcluster-dump.service':
      source => 'puppet:///modules/metastore/hcluster-dump.service',
      ;
    '/etc/systemd/system/hcluster-dump.timer':
      content => epp('metastore/dump.timer.epp', { 'every' => $every, 'splay' => $splay }),
      ;
    '/etc/systemd/system/hcluster-last-dump.service':
      source => 'puppet:///modules/metastore/hcluster-last-dump.service',
      ;
    '/etc/systemd/system/multi-user.target.wants/hcluster-last-dump.service':
      ensure => link,
      target => '/etc/systemd/system/hcluster-last-dump.service',
      ;
    '/etc/systemd/system/timers.target.wants/hcluster-dump.timer':
      ensure => link,
      target => '/etc/systemd/system/hcluster-dump.timer',
      ;
  }

  service {
    default:
      ensure  => running,
      require => File[
        '/usr/local/lib/hcluster/dump',
        '/etc/systemd/system/hcluster-dump.service',
        '/etc/systemd/system/hcluster-dump.timer',
        '/etc/systemd/system/hcluster-last-dump.service',
        '/etc/systemd/system/multi-user.target.wants/hcluster-last-dump.service',
        '/etc/systemd/system/timers.target.wants/hcluster-dump.timer'
      ],
      ;
    'hcluster-dump.timer':
      start => '/bin/systemctl start --no-block hcluster-dump.timer',
      ;
    'hcluster-last-dump':
      start => '/bin/systemctl start --no-block hcluster-last-dump',
      ;
  }
}
