# @summary HiveServer2: its configuration and its daemon.
#
# @param hive_site properties of hive-site.xml
# @param conf_dir where it goes
# @param work_dir folder of local scratch files
# @param daemon parameters of daemon::java
class hive (
  Hadoop::Properties        $hive_site,
  String[1]                 $conf_dir,
  String[1]                 $work_dir,
  Hash[String[1], NotUndef] $daemon,
) {
  file {
    default:
      owner => 'root',
      group => 'root',
      ;
    $conf_dir:
      ensure => directory,
      mode   => '0755',
      ;
    "${conf_dir}/hive-site.xml":
      mode    => '0644',
      content => hadoop::xml($hive_site),
      ;
    $work_dir:
      ensure => directory,
      owner  => 'hive',
      group  => 'hadoop',
      mode   => '0750',
      ;
  }

  daemon::java { 'hive-server2':
    description => 'HiveServer2',
    main_class  => 'org.apache.hive.service.server.HiveServer2',
    user        => 'hive',
    *           => $daemon,
  }

  File["${conf_dir}/hive-site.xml", $work_dir] -> Daemon::Java['hive-server2']
}
