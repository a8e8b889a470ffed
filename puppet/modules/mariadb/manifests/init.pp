# @summary Debian's MariaDB with a small memory, reachable from this node alone.
#
# @param options options of the server, by name
# @param folder where its data is, in a folder of its own below; a volume or a plain folder
# @param requires units that it starts after and cannot do without
class mariadb (
  Hash[String[1], Variant[String, Integer]] $options,
  Pattern[/\A\/[\w\/.-]+\z/]                $folder,
  Array[String[1]]                          $requires,
) {
  $prepare = '/usr/local/lib/hcluster/mariadb-init'
  $upgrade = '/usr/local/lib/hcluster/mariadb-upgrade'
  $lines = ($options + { 'datadir' => "${folder}/data" }).map |$name, $value| { "${name} = ${value}\n" }

  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0644',
      ;
    '/etc/mysql/mariadb.conf.d/90-hcluster.cnf':
      content => "# Written by Puppet: changes do not last.\n[mariadbd]\n${lines.join}",
      ;
    $prepare:
      mode   => '0755',
      source => 'puppet:///modules/mariadb/mariadb-init.sh',
      ;
    $upgrade:
      mode   => '0755',
      source => 'puppet:///modules/mariadb/mariadb-upgrade.sh',
      ;
    '/etc/systemd/system/mariadb.service.d':
      ensure => directory,
      mode   => '0755',
      ;
    '/etc/systemd/system/mariadb.service.d/hcluster.conf':
      content => epp('mariadb/unit.conf.epp', {
          'folder'   => $folder,
          'prepare'  => $prepare,
          'upgrade'  => $upgrade,
          'requires' => $requires,
      }),
      ;
  }

  service { 'mariadb':
    ensure    => running,
    enable    => true,
    start     => '/bin/systemctl start --no-block mariadb',
    restart   => '/bin/systemctl restart --no-block mariadb',
    subscribe => [
      File['/etc/mysql/mariadb.conf.d/90-hcluster.cnf'],
      File[$prepare, $upgrade],
      File['/etc/systemd/system/mariadb.service.d/hcluster.conf'],
    ],
  }
}
