# @summary Configuration that every Hadoop daemon and client reads.
#
# @param core_site properties of core-site.xml
# @param hdfs_site properties of hdfs-site.xml
# @param yarn_site properties of yarn-site.xml
# @param mapred_site properties of mapred-site.xml
# @param capacity_scheduler properties of capacity-scheduler.xml
# @param conf_dir where the files go
# @param data_dirs folders for data; daemons make their own folders below
# @param client_flags JVM flags of the commands hadoop, hdfs, yarn and mapred
class hadoop (
  Hadoop::Properties        $core_site,
  Hadoop::Properties        $hdfs_site,
  Hadoop::Properties        $yarn_site,
  Hadoop::Properties        $mapred_site,
  Hadoop::Properties        $capacity_scheduler,
  String[1]                 $conf_dir,
  Array[String[1]]          $data_dirs,
  Array[String[1]]          $client_flags,
) {
  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0644',
      ;
    $conf_dir:
      ensure => directory,
      mode   => '0755',
      ;
    "${conf_dir}/core-site.xml":
      content => hadoop::xml($core_site),
      ;
    "${conf_dir}/hdfs-site.xml":
      content => hadoop::xml($hdfs_site),
      ;
    "${conf_dir}/yarn-site.xml":
      content => hadoop::xml($yarn_site),
      ;
    "${conf_dir}/mapred-site.xml":
      content => hadoop::xml($mapred_site),
      ;
    "${conf_dir}/capacity-scheduler.xml":
      content => hadoop::xml($capacity_scheduler),
      ;
    "${conf_dir}/log4j.properties":
      source => 'puppet:///modules/hadoop/log4j.properties',
      ;
    # Read by the java launcher itself (java @FILE).
    "${conf_dir}/client.flags":
      content => "${client_flags.join("\n")}\n",
      ;
    $data_dirs:
      ensure => directory,
      group  => 'hadoop',
      mode   => '0775',
      ;
  }
}
