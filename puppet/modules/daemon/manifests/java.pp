# @summary A daemon that runs on the JVM: its systemd unit, started and enabled; the title is the unit's name.
#
# @param description what the unit is, for people
# @param main_class class that is started
# @param user account that it runs as; its group is hadoop
# @param heap_mib largest heap in MiB
# @param limit_mib memory in MiB at which the kernel ends it; undef means none
# @param classpath entries of the class path; jars first, folders of configuration last
# @param flags more JVM flags
# @param arguments arguments of the main class
# @param environment environment variables
# @param after units that it starts after, if they start too
# @param requires units that it starts after and cannot do without
# @param start_limit time that preparing and starting may take, as systemd writes it; undef means its default
# @param prepare commands, run as root, that must succeed before it starts
define daemon::java (
  String[1]                        $description,
  Pattern[/\A[\w.]+\z/]            $main_class,
  String[1]                        $user,
  Integer[16]                      $heap_mib,
  Optional[Integer[64]]            $limit_mib,
  Array[String[1], 1]              $classpath,
  Array[String[1]]                 $flags,
  Array[String]                    $arguments = [],
  Hash[String[1], String]          $environment = {},
  Array[String[1]]                 $after = [],
  Array[String[1]]                 $requires = [],
  Array[String[1]]                 $prepare = [],
  Optional[String[1]]              $start_limit = undef,
) {
  include daemon

  file { "/etc/systemd/system/${title}.service":
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('daemon/java.service.epp', {
        'unit'        => $title,
        'description' => $description,
        'main_class'  => $main_class,
        'user'        => $user,
        'heap_mib'    => $heap_mib,
        'limit_mib'   => $limit_mib,
        'classpath'   => $classpath,
        'flags'       => $flags,
        'arguments'   => $arguments,
        'environment' => $environment,
        'after'       => $after,
        'requires'    => $requires,
        'prepare'     => $prepare,
        'start_limit' => $start_limit,
        'log_dir'     => $daemon::log_dir,
        'conf_dir'    => $daemon::conf_dir,
    }),
  }

  # What systemctl enable would do, without its reload of all units.
  file { "/etc/systemd/system/multi-user.target.wants/${title}.service":
    ensure => link,
    target => "/etc/systemd/system/${title}.service",
  }

  # Queued and not waited for: the daemons of a node start together, and health.json tells when they serve.
  service { $title:
    ensure  => running,
    start   => "/bin/systemctl start --no-block ${title}",
    restart => "/bin/systemctl restart --no-block ${title}",
  }

  Class['daemon'] -> File["/etc/systemd/system/${title}.service"] ~> Service[$title]
  File["/etc/systemd/system/multi-user.target.wants/${title}.service"] -> Service[$title]
}
