# @summary Tez, as HiveServer2 and its containers use it.
#
# @param tez_site fixed properties of tez-site.xml
# @param tight_site what is set beside, where YARN has no room for a job beside a session that is kept warm
# @param home where the distribution lies
# @param conf_dir where the file goes
class profile::tez (
  Hadoop::Properties $tez_site,
  Hadoop::Properties $tight_site,
  String[1]          $home,
  String[1]          $conf_dir,
) {
  include hcluster
  include profile::hadoop
  include profile::java
  include profile::memory

  $flags = "-server ${profile::hadoop::opens} ${profile::java::archive['tez']}"
  $task_flags = $profile::java::task.join(' ')
  $classpath = ["${home}/lib/tez.jar", $profile::hadoop::conf_dir] + $profile::hadoop::layers
  $heartbeat = $profile::hadoop::heartbeat
  $site = { 'tez-site' => {} } + $hcluster::site

  $tez = $tez_site + {
    'tez.cluster.additional.classpath.prefix'     => $classpath.join(':'),
    'tez.am.resource.memory.mb'                   => $profile::memory::task,
    'tez.task.resource.memory.mb'                 => $profile::memory::task,
    'tez.container.max.java.heap.fraction'        => $profile::memory::heap_percent / 100.0,
    'tez.am.launch.cluster-default.cmd-opts'      => $flags,
    'tez.task.launch.cluster-default.cmd-opts'    => $flags,
    'tez.am.launch.cmd-opts'                      => $task_flags,
    'tez.task.launch.cmd-opts'                    => $task_flags,
    'tez.runtime.io.sort.mb'                      => $profile::memory::task_heap / 5,
    'tez.runtime.unordered.output.buffer.size-mb' => $profile::memory::task_heap / 10,
  }
  $tez_of_size = {
    'tez.am.am-rm.heartbeat.interval-ms.max'  => $heartbeat,
    'tez.task.am.heartbeat.interval-ms.max'   => $heartbeat,
    'tez.task.get-task.sleep.interval-ms.max' => $heartbeat / 2,
  } + ($profile::memory::roomy ? { true => {}, default => $tight_site })

  class { 'tez':
    conf_dir => $conf_dir,
    tez_site => $tez + $tez_of_size + $site['tez-site'],
  }

  daemon::settings { 'tez':
    text  => hadoop::xml($tez + $site['tez-site']),
    files => ["${conf_dir}/tez-site.xml"],
  }
}
