# @summary HiveServer2 on the master, with the shared metastore and Tez.
#
# @param hive_site fixed properties of hive-site.xml
# @param tight_site what is set beside, where YARN has no room for a job beside a session that is kept warm
# @param home where the distribution lies
# @param conf_dir where the file goes
# @param work_dir folder of local scratch files
class profile::hive (
  Hadoop::Properties $hive_site,
  Hadoop::Properties $tight_site,
  String[1]          $home,
  String[1]          $conf_dir,
  String[1]          $work_dir,
) {
  include hcluster
  include profile::hadoop
  include profile::java
  include profile::memory
  include profile::tez

  $site = { 'hive-site' => {} } + $hcluster::site
  $mib = 1024 * 1024

  $hive = $hive_site + {
    'hive.exec.local.scratchdir'                    => "${work_dir}/scratch",
    'hive.downloaded.resources.dir'                 => "${work_dir}/resources",
    'hive.server2.logging.operation.log.location'   => "${work_dir}/operations",
    'hive.querylog.location'                        => "${work_dir}/queries",
    'hive.tez.container.size'                       => $profile::memory::task,
    'hive.tez.java.opts'                            => $profile::java::task.join(' '),
    # A joined table in memory may take a quarter of a container's heap.
    'hive.auto.convert.join.noconditionaltask.size' => $profile::memory::task_heap * $mib / 4,
  }
  $hive_of_size = {
    # Sessions of Tez that are kept warm: without, the first query of each connection would start one of its own.
    'hive.server2.tez.sessions.per.default.queue' => profile::clamp($hcluster::workers / 2, 1, 10),
  } + ($profile::memory::roomy ? { true => {}, default => $tight_site })

  daemon::settings { 'hive':
    text  => hadoop::xml($hive + $site['hive-site']),
    files => ["${conf_dir}/hive-site.xml"],
  }

  class { 'hive':
    conf_dir  => $conf_dir,
    work_dir  => $work_dir,
    hive_site => $hive + $hive_of_size + $site['hive-site'],
    daemon    => {
      'heap_mib'    => $profile::memory::heap['hive-server2'],
      'limit_mib'   => $profile::memory::limit['hive-server2'],
      'classpath'   => ["${home}/lib/hive.jar", $conf_dir, $profile::tez::conf_dir, $profile::hadoop::conf_dir]
      + $profile::hadoop::layers,
      'flags'       => $profile::java::daemon + [$profile::java::archive['hive']],
      'environment' => $profile::hadoop::environment + {
        'HADOOP_HOME'   => $home,
        'HIVE_HOME'     => $home,
        'HIVE_CONF_DIR' => $conf_dir,
        'TEZ_CONF_DIR'  => $profile::tez::conf_dir,
      },
      'subscribe'   => Daemon::Settings['hdfs', 'yarn', 'tez', 'hive'],
      'require'     => Class['hadoop', 'tez'],
    },
  }
}
