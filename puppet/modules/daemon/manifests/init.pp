# @summary What all daemons share: the folder of their logs and how they log.
#
# @param log_dir where UNIT.log goes
# @param conf_dir where the logging configurations go
class daemon (
  String[1] $log_dir,
  String[1] $conf_dir,
) {
  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0644',
      ;
    $log_dir:
      ensure => directory,
      group  => 'hadoop',
      mode   => '0775',
      ;
    $conf_dir:
      ensure => directory,
      mode   => '0755',
      ;
    "${conf_dir}/log4j.properties":
      source => 'puppet:///modules/daemon/log4j.properties',
      ;
    "${conf_dir}/log4j2.properties":
      source => 'puppet:///modules/daemon/log4j2.properties',
      ;
  }
}
