# @summary A volume that outlives this node, mounted at each boot by the unit hcluster-volume-TITLE.
#
# The volume is told by its id, which the device carries as its serial number: no label that two could have decides.
#
# @param volume id of the volume
# @param path where it is mounted
# @param label label of its file system, made when there is nothing on the volume
# @param wait seconds that it may take to be attached
define volume::mount (
  Pattern[/\Avol-[0-9a-f]{8,17}\z/] $volume,
  Pattern[/\A\/[\w\/.-]+\z/]        $path,
  Pattern[/\A[a-z0-9-]{1,16}\z/]    $label,
  Integer[1]                        $wait,
) {
  include volume

  $unit = "hcluster-volume-${title}"
  $serial = $volume.regsubst('-', '')

  file { "/etc/systemd/system/${unit}.service":
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('volume/mount.service.epp', {
        'program' => $volume::program,
        'device'  => "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${serial}",
        'volume'  => $volume,
        'path'    => $path,
        'label'   => $label,
        'wait'    => $wait,
    }),
  }

  # What systemctl enable would do, without its reload of all units.
  file { "/etc/systemd/system/multi-user.target.wants/${unit}.service":
    ensure => link,
    target => "/etc/systemd/system/${unit}.service",
  }

  # Queued and not waited for, as the daemons are. Never restarted: what is mounted is in use.
  service { $unit:
    ensure  => running,
    start   => "/bin/systemctl start --no-block ${unit}",
    require => [
      Class['volume'],
      File["/etc/systemd/system/${unit}.service", "/etc/systemd/system/multi-user.target.wants/${unit}.service"],
    ],
  }
}
