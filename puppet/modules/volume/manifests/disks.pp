# @summary The volumes that this node was launched with and that end with it, mounted by the unit hcluster-disks.
#
# @param count how many
# @param path where they are mounted, without the number of each
# @param label label of their file systems
# @param wait seconds until they all must be there
class volume::disks (
  Integer[1]                        $count,
  Pattern[/\A\/[\w\/.-]+\z/]        $path,
  Pattern[/\A[a-z0-9-]{1,16}\z/]    $label,
  Integer[1]                        $wait,
) {
  include volume

  $program = '/usr/local/lib/hcluster/disks-mount'

  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0644',
      ;
    $program:
      mode   => '0755',
      source => 'puppet:///modules/volume/disks-mount.sh',
      ;
    '/etc/systemd/system/hcluster-disks.service':
      content => epp('volume/disks.service.epp', {
          'program' => $program,
          'count'   => $count,
          'path'    => $path,
          'label'   => $label,
          'wait'    => $wait,
      }),
      ;
    '/etc/systemd/system/multi-user.target.wants/hcluster-disks.service':
      ensure => link,
      target => '/etc/systemd/system/hcluster-disks.service',
      ;
  }

  # Waited for, unlike the daemons: the folders of data are made on them.
  service { 'hcluster-disks':
    ensure  => running,
    require => [
      Class['volume'],
      File[
        $program,
        '/etc/systemd/system/hcluster-disks.service',
        '/etc/systemd/system/multi-user.target.wants/hcluster-disks.service'
      ],
    ],
  }
}
