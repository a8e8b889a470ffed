# @summary What an image adds to its parent: packages, a Python environment, jars, files, and checks of all that.
#
# @param image name of the image
# @param uploads folder with python.tar.zst, jars/, files/ and checks/
# @param packages Debian packages: a version, or `installed` for the archive's newest
# @param python whether there is a Python environment
# @param python_dir where it goes, in a folder called like the image
# @param jars SHA-256 of each jar, by name
# @param jar_dir the one folder of all layers' jars
# @param files where each file of files/ goes, in the order of their numbers
# @param checks how many commands must succeed before this becomes an image
# @param check_dir where they stay, so that images on this one are held to them, too
class layer (
  String[1]                                 $image,
  String[1]                                 $uploads,
  Hash[String[1], String[1]]                $packages,
  Boolean                                   $python,
  String[1]                                 $python_dir,
  Hash[Pattern[/\A[^\/]+\z/], String[1]]    $jars,
  String[1]                                 $jar_dir,
  Array[Struct[{
    path => Pattern[/\A\/.*[^\/]\z/],
    mode => Pattern[/\A[0-7]{4}\z/],
  }]]                                       $files,
  Integer[0]                                $checks,
  String[1]                                 $check_dir,
) {
  $packages.each |$name, $version| {
    # The image may have it anyway; then it has what this layer asks for only if that is no other version.
    unless defined(Package[$name]) and $version == 'installed' {
      package { $name:
        ensure          => $version,
        install_options => ['--no-install-recommends'],
      }
    }
  }

  if $python {
    file { $python_dir:
      ensure => directory,
      owner  => 'root',
      group  => 'root',
      mode   => '0755',
    }

    hcluster_node::tree { "${python_dir}/${image}":
      archive => "${uploads}/python.tar.zst",
      finish  => 'bin/python3 -m compileall -q lib',
      require => File[$python_dir],
    }
  }

  # Files may lie in folders that no package makes, and may replace a package's own.
  $folders = $files.map |$file| { $file['path'].regsubst('/[^/]+\z', '') }.unique.filter |$folder| { $folder != '' }
  $installed = $packages.keys.map |$name| { Package[$name] }
  $folders.each |$folder| {
    exec { "folder ${folder}":
      command => ['/usr/bin/mkdir', '-p', $folder],
      creates => $folder,
      require => $installed,
    }
  }
  $files.each |$number, $file| {
    file { $file['path']:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => $file['mode'],
      source  => "file://${uploads}/files/${number}",
      require => $installed + $folders.map |$folder| { Exec["folder ${folder}"] },
    }
  }

  unless $jars.empty {
    file { $jar_dir:
      ensure => directory,
      owner  => 'root',
      group  => 'root',
      mode   => '0755',
    }
  }
  $jars.each |$name, $digest| {
    file { "${jar_dir}/${name}":
      ensure         => file,
      owner          => 'root',
      group          => 'root',
      mode           => '0644',
      source         => "file://${uploads}/jars/${name}",
      checksum       => 'sha256',
      checksum_value => $digest,
    }
  }

  if $checks > 0 {
    file { $check_dir:
      ensure => directory,
      owner  => 'root',
      group  => 'root',
      mode   => '0755',
    }
  }
  Integer[0, 999].filter |$number| { $number < $checks }.each |$number| {
    file { sprintf('%s/%s-%03d', $check_dir, $image, $number):
      ensure => file,
      owner  => 'root',
      group  => 'root',
      mode   => '0644',
      source => "file://${uploads}/checks/${number}",
    }
  }
}
