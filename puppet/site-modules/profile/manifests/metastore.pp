# @summary The metastore that all clusters of the platform share.
#
# @param metastore_site fixed properties of metastore-site.xml
# @param home where the distribution lies
# @param conf_dir where the file goes
# @param database name of the database
# @param user account of the database, and of the daemon
# @param secret file that holds the account's password
# @param marker file beside the data that exists while a dump is being restored
# @param restore whether an empty database is filled from the newest dump in the bucket
class profile::metastore (
  Hadoop::Properties $metastore_site,
  String[1]          $home,
  String[1]          $conf_dir,
  String[1]          $database,
  String[1]          $user,
  String[1]          $secret,
  String[1]          $marker,
  Boolean            $restore,
) {
  include hcluster
  include profile::hadoop
  include profile::java
  include profile::memory

  $site = { 'metastore-site' => {} } + $hcluster::site

  class { 'metastore':
    conf_dir       => $conf_dir,
    database       => $database,
    user           => $user,
    password       => Sensitive(file($secret).strip),
    secret         => $secret,
    marker         => $marker,
    restore        => $restore,
    schema         => "${home}/metastore-schema/hive-schema-4.0.0.mysql.sql",
    metastore_site => $metastore_site + $site['metastore-site'],
    daemon         => {
      'heap_mib'    => $profile::memory::heap['hive-metastore'],
      'limit_mib'   => $profile::memory::limit['hive-metastore'],
      'classpath'   => ["${home}/lib/metastore.jar", $conf_dir, $profile::hadoop::conf_dir],
      'flags'       => $profile::java::daemon + [$profile::java::archive['metastore']],
      'environment' => $profile::hadoop::environment + { 'METASTORE_CONF_DIR' => $conf_dir },
      'subscribe'   => $profile::hadoop::hdfs_files,
    },
  }

  Class['mariadb', 'hadoop::class_paths'] -> Class['metastore']
}
