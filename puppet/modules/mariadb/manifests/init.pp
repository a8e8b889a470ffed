# @summary Debian's MariaDB with a small memory, reachable from this node alone.
#
# @param options options of the server, by name
class mariadb (
  Hash[String[1], Variant[String, Integer]] $options,
) {
  $prepare = '/usr/local/lib/hcluster/mariadb-init'
  $lines = $options.map |$name, $value| { "${name} = ${value}\n" }

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
    '/etc/systemd/system/mariadb.service.d':
      ensure => directory,
      mode   => '0755',
      ;
    '/etc/systemd/system/mariadb.service.d/hcluster.conf':
      # Without Debian's checks after each start: the database is as new as the image.
      content => "# Written by Puppet: changes do not last.\n[Service]\nExecStartPre=+${prepare}\nExecStartPost=\n",
      ;
  }

  service { 'mariadb':
    ensure    => running,
    enable    => true,
    start     => '/bin/systemctl start --no-block mariadb',
    restart   => '/bin/systemctl restart --no-block mariadb',
    subscribe => [
      File['/etc/mysql/mariadb.conf.d/90-hcluster.cnf'],
      File[$prepare],
      File['/etc/systemd/system/mariadb.service.d/hcluster.conf'],
    ],
  }
}
